import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

/** A file of the console, with what it imports: packages by name, files by their path below web/src. */
export interface ConsoleFile {
  path: string;
  text: string;
  imports: string[];
}

/** Which parts of the console each part may import from, beside itself. The types of the API are the only thing it knows of the server. */
const parts: Readonly<Record<string, readonly string[]>> = {
  api: [],
  lib: [],
  styles: [],
  ui: ["api", "lib"],
  pages: ["api", "lib", "ui", "router"],
  router: ["pages"],
  main: ["api", "router", "styles"],
};

const packages = new Set([
  "@tanstack/react-query",
  "@tanstack/react-router",
  "@tanstack/react-virtual",
  "lossless-json",
  "react",
  "react-dom/client",
]);

const importPattern = /(?:^|\n)\s*(?:import|export)\b[^;]*?from\s*"([^"]+)"|import\("([^"]+)"\)|(?:^|\n)import "([^"]+)"/g;

export function readConsole(root: string): ConsoleFile[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(tsx?|css)$/.test(name))
    .map((path) => {
      const text = readFileSync(join(root, path), "utf8");
      const imports = [...text.matchAll(importPattern)].map((match) => {
        const target = match[1] ?? match[2] ?? match[3] ?? "";
        return target.startsWith(".") ? `./${relative(root, resolve(root, dirname(path), target))}` : target;
      });
      return { path, text, imports };
    });
}

export interface ConsoleViolation {
  rule: "leaves" | "package" | "part" | "length" | "colour" | "inline";
  file: string;
  found: string;
}

const partOf = (path: string): string =>
  path
    .replace(/^\.\//, "")
    .split("/")[0]
    ?.replace(/\.tsx?$/, "") ?? path;

export function consoleViolations(files: readonly ConsoleFile[]): ConsoleViolation[] {
  return files.flatMap(({ path, text, imports }) => {
    const found: ConsoleViolation[] = [];
    const part = partOf(path);
    for (const target of imports) {
      if (target.startsWith("./../")) found.push({ rule: "leaves", file: path, found: target });
      else if (!target.startsWith("./")) {
        if (!packages.has(target)) found.push({ rule: "package", file: path, found: target });
      } else if (partOf(target) !== part && parts[part]?.includes(partOf(target)) !== true) {
        found.push({ rule: "part", file: path, found: target });
      }
    }
    const lines = text.split("\n").length;
    if (lines > 401) found.push({ rule: "length", file: path, found: `${lines} lines` });
    const colour = /#[0-9a-f]{3,8}\b(?!["'`]?\s*[:)]\s*\{)|\b(?:rgba?|hsla?|oklch)\(/i.exec(
      path.endsWith(".css") ? text.replaceAll(/\/\*.*?\*\//gs, "") : "",
    );
    if (colour !== null && path !== "styles/tokens.css") found.push({ rule: "colour", file: path, found: colour[0] });
    // The page's policy refuses what would be written into it as text.
    const inline = /dangerouslySetInnerHTML|\.innerHTML\b|\beval\(|new Function\(/.exec(text);
    if (inline !== null) found.push({ rule: "inline", file: path, found: inline[0] });
    return found;
  });
}

/** Colours of one theme by name, from the pairs of tokens.css. */
export function coloursOf(tokens: string, theme: "light" | "dark"): ReadonlyMap<string, string> {
  return new Map(
    [...tokens.matchAll(/--([\w-]+):\s*light-dark\(\s*(#[0-9a-f]+),\s*(#[0-9a-f]+)\s*\)/g)].map(
      ([, name = "", light = "", dark = ""]) => [name, theme === "light" ? light : dark] as const,
    ),
  );
}

/** How much two colours differ in lightness, as WCAG 2 counts it: 1 to 21. */
export function contrast(one: string, other: string): number {
  const [bright = 0, dim = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (bright + 0.05) / (dim + 0.05);
}

function luminance(colour: string): number {
  const whole = colour.length === 4 ? colour.slice(1).replaceAll(/./g, "$&$&") : colour.slice(1);
  const [red = 0, green = 0, blue = 0] = [0, 2, 4]
    .map((at) => Number.parseInt(whole.slice(at, at + 2), 16) / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
