// The environment of each run, field by field, and which fields differ.

const ENVIRONMENT = [
  ["torch", (run) => run.environment.torch.version],
  ["torch commit", (run) => run.environment.torch.git],
  ["debug build", (run) => yesNo(run.environment.torch.debug)],
  ["CUDA", (run) => run.environment.torch.cuda],
  ["HIP", (run) => run.environment.torch.hip],
  ["targets", (run) => run.environment.targets.map((t) => [t.name, t.device, t.driver && `driver ${t.driver}`].filter(Boolean).join(", ")).join("; ")],
  ["NumPy", (run) => run.environment.numpy],
  ["Python", (run) => run.environment.python],
  ["platform", (run) => run.environment.platform],
  ["processor", (run) => [run.environment.processor || run.environment.machine, run.environment.cpus && `${run.environment.cpus} CPUs`].filter(Boolean).join(", ")],
  ["suite", (run) => `${run.suite.name} ${run.suite.version}${run.suite.commit ? ` (${run.suite.commit})` : ""}`],
  ["Hypothesis, pytest", (run) => [run.environment.hypothesis, run.environment.pytest].filter(Boolean).join(", ")],
  ["profile", (run) => `${run.settings.profile}${run.settings.samples === null ? "" : `, ${run.settings.samples} samples`}, seed ${run.settings.seed ?? "unknown"}`],
  ["levels run", (run) => (run.settings.level === "must" ? "must" : run.settings.level === "should" ? "must, should" : "must, should, may")],
  ["fails the run", (run) => run.settings.fail_on],
  ["shard", (run) => run.settings.shard],
  ["expectations", (run) => run.settings.expectations.join(", ")],
  ["command", (run) => run.command],
  ["started", (run) => run.started],
  ["took", (run) => (run.seconds === null ? null : seconds(run.seconds))],
  ["record", (run) => run.file],
];

function yesNo(value) {
  return value === null || value === undefined ? null : value ? "yes" : "no";
}

function environmentTable() {
  const rows = ENVIRONMENT.map(([name, of]) => ({ name, values: runs.map((run) => of(run) || "") }))
    .filter((row) => row.values.some(Boolean));
  return h("section", {},
    h("h2", {}, "Environment"),
    h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Environment" }, h("table", { class: "environment" },
      runs.length > 1 ? h("thead", {}, h("tr", {}, h("td", {}), runs.map((run) => h("th", { scope: "col" }, runHeading(run))))) : null,
      h("tbody", {}, rows.map((row) => {
        const differ = new Set(row.values).size > 1;
        return h("tr", { class: differ ? "differs" : null },
          h("th", { scope: "row" }, row.name, differ ? h("span", { class: "mark" }, "differs") : null),
          row.values.map((value) => h("td", {}, value || h("span", { class: "muted" }, "none"))));
      })))),
    runs.map((run) => run.environment.torch.config
      ? h("details", {}, h("summary", {}, runs.length > 1 ? `Build configuration of ${fullName(run)}` : "Build configuration"), h("pre", {}, run.environment.torch.config))
      : null));
}
