"""report.html: the plan, what came out and the baselines, on one page without scripts or anything fetched."""

from collections.abc import Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from qtnc.errors import printable
from qtnc.pipeline import Ran
from qtnc.planner.plan import Plan
from qtnc.report.becomes import becomes
from qtnc.report.times import distinct, slower_than_dense
from qtnc.rewrite.decision import Rewritten
from qtnc.verify.halved import Halved
from qtnc.verify.speed import Speed
from qtnc.verify.verdict import Verdict


def html_page(
    plan: Plan,
    ran: Sequence[Ran],
    verdicts: Sequence[Verdict],
    sizes: Mapping[str, int],
    original_bytes: int,
    speeds: Sequence[Speed] = (),
    halved: Halved | None = None,
) -> str:
    """Render the page; every name from the model is escaped."""
    environment = Environment(loader=PackageLoader("qtnc.report", "."), autoescape=True, undefined=StrictUndefined)
    environment.filters["becomes"] = becomes
    environment.filters["shown"] = printable
    measured = {note.layer: note.error for step in ran for note in step.notes if isinstance(note, Rewritten)}
    return environment.get_template("page.html.j2").render(
        plan=plan,
        ran=ran,
        verdicts=verdicts,
        sizes=sizes,
        original_bytes=original_bytes,
        measured=measured,
        speeds=speeds,
        times=distinct(plan),
        slower=slower_than_dense(plan),
        halved=halved,
    )
