/** Consumers that somebody keeps where they are: on one dataset with what is bound to it, or on the whole of a view. */
export const pins = {
  name: "0013-pins",
  sql: `
create table pins (
  id text primary key,
  environment text not null,
  consumer text not null,
  -- what was asked for; null: the whole view
  dataset_id text references datasets,
  view_id text references views,
  owner text not null,
  reason text not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  ended_at timestamptz,
  -- the changes whose rollback ended it
  barred text[],
  check ((dataset_id is null) = (view_id is not null))
);
create index pins_consumer on pins (consumer);
create index pins_standing on pins (environment) where ended_at is null;
create table pin_versions (
  pin_id text not null references pins,
  dataset_id text not null references datasets,
  -- null: the consumer has no such dataset
  version_id text references versions,
  since timestamptz not null,
  primary key (pin_id, dataset_id)
);
`,
};
