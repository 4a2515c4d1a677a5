/** A text literal. */
export const sqlText = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** A quoted name. */
export const sqlName = (name: string): string => `"${name.replaceAll('"', '""')}"`;
