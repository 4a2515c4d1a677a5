/** Places that are told what happens, and each message to each of them. */
export const webhooks = {
  name: "0012-webhooks",
  sql: `
create table webhooks (
  id text primary key,
  name text not null,
  url text not null,
  -- empty once it is removed
  secret text not null,
  -- empty: everything
  events text[] not null,
  created_by text not null,
  created_at timestamptz not null,
  removed_at timestamptz
);
create unique index webhooks_standing on webhooks (name) where removed_at is null;

create table webhook_deliveries (
  id text primary key,
  webhook_id text not null references webhooks,
  -- the event of the outbox and what is told of it: one message per event and webhook
  cause text not null,
  type text not null,
  subject text not null,
  body text not null,
  -- what must still be so when it is sent: the content of a change, the step of a release; null: it is sent in any case
  stands text,
  state text not null check (state in ('waiting', 'delivered', 'dropped', 'dead')),
  attempts integer not null,
  created_at timestamptz not null,
  due_at timestamptz,
  last_at timestamptz,
  last_status integer,
  last_error text,
  unique (webhook_id, cause)
);
create index webhook_deliveries_due on webhook_deliveries (due_at) where state = 'waiting';
create index webhook_deliveries_subject on webhook_deliveries (webhook_id, type, subject, created_at);
`,
};
