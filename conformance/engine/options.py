"""Options: what the suite adds to pytest's command line, in the order in which a person meets them.

Their values stay text: ``settings`` reads them, so that what is wrong with one is told as everything else is.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Option(NamedTuple):
    """One option: what it says of itself, and an example of its value."""

    name: str
    metavar: str
    says: str
    example: str
    default: str | None = None
    repeatable: bool = False
    flag: bool | None = None  # what it stands for, where it takes no value

    @property
    def help(self) -> str:
        """What it says of itself, with the example."""
        return f"{self.says}; such as {self.name} {self.example}".replace("%", "%%")

    def keywords(self) -> dict[str, Any]:
        """The keywords that argparse and pytest take."""
        if self.flag is not None:
            stored = "store_true" if self.flag else "store_false"
            return {"dest": self.metavar, "action": stored, "help": self.says, "default": None}
        action: dict[str, Any] = {"action": "append"} if self.repeatable else {}
        return {"metavar": self.metavar, "help": self.help, "default": self.default, **action}


OPTIONS: dict[str, tuple[Option, ...]] = {
    "which cells run": (
        Option("--device", "NAME", "device to test, repeatable; default: every device that torch can use here",
               "cuda:0", repeatable=True),
        Option("--plugin", "MODULE", "import it before devices are looked up, repeatable: what brings a back end along",
               "torch_npu", repeatable=True),
        Option("--targets", "FILE", "further types of devices and what they declare, repeatable",
               "vendor.yaml", repeatable=True),
        Option("--level", "LEVEL", "run behaviours of this level and above: must, should, may (default)",
               "must", "may"),
        Option("--shard", "I/N", "run the I-th of N shards of the cells", "1/4"),
    ),
    "which cases they meet": (
        Option("--profile", "NAME", "smoke (corners and 5 samples a cell), default (50) or thorough (1,000)", "smoke",
               "default"),
        Option("--seed", "N", "seed of the sampled cases (default 0: the same cases every time)", "7"),
        Option("--example-database", "PLACE", "where failing samples are kept and met again, repeatable: a folder, "
               "redis://HOST:PORT/NUMBER, or github:OWNER/REPOSITORY[/ARTIFACT], which is only read (default: none)",
               "redis://192.0.2.7:6379/0", repeatable=True),
    ),
    "what fails the run": (
        Option("--expectations", "FILE", "further listed deviations, repeatable", "accepted.yaml", repeatable=True),
        Option("--fail-on", "LEVEL", "failing cells of this level and above fail the run: must (default), should, none",
               "should", "must"),
    ),
    "where and how long": (
        Option("--run-record", "FILE", "where the run record goes (default: reports/runs/latest.json)", "run.json"),
        Option("--resume", "RUN", "go on with a run that was cut off: decided cells are kept", "run.json"),
        Option("--performance", "performance", "time calls after the cells, as `run` does but in the smoke profile and "
               "for a selection of cells", "", flag=True),
        Option("--no-performance", "performance", "time no calls after the cells", "", flag=False),
        Option("--costs", "N", "tell what the N dearest cells cost the suite, and how much of it was torch",
               "20"),
        Option("--collection-timeout", "SECONDS", "how long the collection may take, 0 for any time (default: 300)",
               "600", "300"),
    ),
}  # fmt: skip

# Of pytest and its plugins, what is used most with this suite: shown where all of pytest's options would bury it.
FURTHER = (
    (
        "-k 'inplace.returns-self[add_-cpu]'",
        "the cells whose names contain it: an id from a report, an operator, a word",
    ),
    ("-m must", "the cells of one level"),
    ("-n 4", "so many workers (default: one a core); -n 0 for none: a crash then ends the run"),
    ("--timeout 60", "seconds that one cell may take (default: by the profile)"),
    ("--junitxml junit.xml", "the verdicts for other tools"),
    ("--collect-only -q", "list the cells and run nothing"),
    ("-x", "stop at the first failure"),
)
