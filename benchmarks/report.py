"""Tables and plots of all reports: the repository's documents, or one HTML and Markdown file.

    python -m benchmarks report
    python -m benchmarks report --in MINE --html mine.html --markdown mine.md

Without a file to write it makes docs/results.md, its plots in docs/results and the README's table
anew, so that no figure in them is typed by hand. The plots of a Markdown file X.md are written into
the folder X beside it, the HTML file holds its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from alpr_edge.errors import ExitCode, OutputError, UsageError
from alpr_edge.markdown import replace_block
from benchmarks import record, report_html, report_plots
from benchmarks.report_facts import Reports, load
from benchmarks.report_readme import BLOCK, summary
from benchmarks.report_sections import all_plots, document

REPORTS = record.ROOT / "docs" / "results"
DOCUMENT = record.ROOT / "docs" / "results.md"
README = record.ROOT / "README.md"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m benchmarks report``."""
    parser.add_argument("--in", type=Path, default=REPORTS, dest="folder", metavar="DIR",
                        help="folder of the reports (default: docs/results)")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write one self-contained file")
    parser.add_argument("--markdown", type=Path, metavar="FILE",
                        help="write the text, its plots into the folder FILE without .md")


def main(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Write what was asked for, or the repository's documents.

    Raises:
        DataError: reports or markers are missing. OutputError: a file cannot be written.
        UsageError: matplotlib or markdown-it-py is not installed, or a file has no suffix.
    """
    if options.markdown and not options.markdown.suffix:
        raise UsageError(f"--markdown {options.markdown} is the folder of its own plots; give the "
                         f"file a suffix: {options.markdown}.md")
    reports = load(options.folder)
    drawings = {plot.name: report_plots.svg(plot) for plot in all_plots(reports)}
    if options.html:
        record.write(report_html.page(document(reports, "."), drawings), options.html)
    if options.markdown:
        write_markdown(reports, drawings, options.markdown)
    if not options.html and not options.markdown:
        write_markdown(reports, drawings, DOCUMENT)
        write_readme(reports)
    print(f"made from {len(reports)} reports, with {len(drawings)} plots")
    return ExitCode.OK


def write_markdown(reports: Reports, drawings: Mapping[str, str], path: Path) -> None:
    """The text, and the plots in the folder of its name.

    Raises:
        OutputError: a file cannot be written.
    """
    folder = path.with_suffix("")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror}; choose another") from error
    record.write(document(reports, folder.name), path)
    for name, drawing in drawings.items():
        record.write(drawing, folder / name)


def write_readme(reports: Reports) -> None:
    """The README with its table anew.

    Raises:
        DataError: its markers are missing. OutputError: it cannot be written.
    """
    readme = README.read_text("utf-8")
    record.write(replace_block(readme, BLOCK, summary(reports)).rstrip("\n"), README)
