/** What consumers report, and what the judge makes of it. */
export const outcomes = {
  name: "0016-outcomes",
  sql: `
-- null: the judge looks at what consumers read and say, and at nothing else
alter table releases add column guardrails jsonb;
-- when the judge, which holds it, looks again
alter table releases add column look_at timestamptz;
create index releases_looked_at on releases (look_at) where look_at is not null;
create table outcome_reports (
  consumer text not null,
  id text not null,
  content_hash text not null,
  dataset_id text not null references datasets,
  -- null: no release of the dataset was under way, or the consumer had not read it
  release_id text references releases,
  step integer,
  arm text check (arm in ('candidate','current')),
  at timestamptz not null,
  received_at timestamptz not null,
  ok boolean,
  reason text,
  primary key (consumer, id)
);
create index outcome_reports_of_release on outcome_reports (release_id, consumer) where ok is not null;
create index outcome_reports_of_dataset on outcome_reports (dataset_id, consumer, at) where ok is not null;
-- sums of values per hour; release '' and step 0 where nothing is judged
create table outcomes (
  dataset_id text not null references datasets,
  release_id text not null,
  step integer not null,
  arm text not null check (arm in ('candidate','current','none')),
  metric text not null,
  hour timestamptz not null,
  consumer text not null,
  n double precision not null,
  mean double precision not null,
  squares double precision not null,
  primary key (release_id, metric, step, arm, hour, consumer, dataset_id)
);
create index outcomes_of_dataset on outcomes (dataset_id, metric, hour);
create table outcome_pairs (
  release_id text not null references releases,
  metric text not null,
  -- a hash: keys of entities are not kept
  pair text not null,
  arm text not null check (arm in ('candidate','current')),
  value double precision not null,
  primary key (release_id, metric, pair, arm)
);
`,
};
