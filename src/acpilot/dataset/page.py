"""A report's HTML: one page that needs nothing but itself."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from acpilot import __version__
from acpilot.dataset.finding import Finding

VERDICTS = ("unfit", "warning", "note", "ok")
"""From the worst to the best."""

_CSS = """
:root{color-scheme:light dark;--ink:#1f2329;--soft:#5c6670;--paper:#f4f5f7;--card:#fff;--line:#d9dde3;
--unfit:#c62b31;--warning:#b35c00;--note:#1f66c9;--ok:#1d7f3c}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa4b0;--paper:#12151a;--card:#1b1f26;--line:#323943;
--unfit:#ff7b80;--warning:#f5a04b;--note:#7db4ff;--ok:#5fce82}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,"Segoe UI","Noto Sans",sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 20px 48px}
h1{font-size:27px;line-height:1.25;margin:0;overflow-wrap:anywhere}
h2{font-size:18px;margin:0 0 10px}
.under{color:var(--soft);margin:2px 0 20px;overflow-wrap:anywhere}
.grid{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:16px}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px 18px;grid-column:1/-1;
overflow-x:auto}
.card.half{grid-column:auto}
@media (max-width:820px){.card.half{grid-column:1/-1}}
.card p{color:var(--soft);margin:8px 0 0;max-width:88ch}
.card p+table{margin-top:14px}
.card img{display:block;width:100%;height:auto}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(250px,1fr));gap:12px 24px;margin:0}
dt{color:var(--soft);font-size:13px}
dd{margin:0;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%}
th{text-align:left;color:var(--soft);font-weight:500;font-size:13px}
th,td{padding:6px 14px 6px 0;border-bottom:1px solid var(--line);vertical-align:top}
tr:last-child td{border-bottom:0}
.badge{display:inline-block;border:1px solid;border-radius:99px;padding:0 10px;font-size:13px;font-weight:600;
white-space:nowrap}
h1 .badge{font-size:15px;vertical-align:middle;margin-left:8px}
""" + "".join(f".badge.{verdict}{{color:var(--{verdict})}}" for verdict in VERDICTS)

# The browser itself refuses whatever is not in the page.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(title: str, under: str, findings: Sequence[Finding], sections: Iterable[str]) -> str:
    """The whole page.

    Args:
        title: plain text, as all that these functions take, unless it says HTML.
        under: a line below the title.
        findings: the worst of them is the verdict beside the title.
        sections: HTML, as ``card``, ``figure`` and ``facts`` make it.
    """
    body = "\n".join(sections)
    worst = min((finding.verdict for finding in findings), key=VERDICTS.index, default="ok")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)} – acpilot</title><link rel="icon" href="data:,"><style>{_CSS}</style></head>\n'
        f'<body><main><h1>{escape(title)} {_badge(worst)}</h1><div class="under">{escape(under)}</div>'
        f'<div class="grid">\n{body}\n</div>'
        f'<p class="under">made by acpilot {__version__}</p></main></body></html>\n'
    )


def card(title: str, body: str, caption: str = "", *, half: bool = False) -> str:
    """A section: its body is HTML."""
    below = f"<p>{escape(caption)}</p>" if caption else ""
    return f'<section class="card{" half" if half else ""}"><h2>{escape(title)}</h2>{body}{below}</section>'


def figure(title: str, data_uri: str, caption: str, *, below: str = "", half: bool = False) -> str:
    """A section that shows a picture, its caption and, below, HTML."""
    image = f'<img src="{data_uri}" alt="{escape(title)}"><p>{escape(caption)}</p>'
    return card(title, image + below, half=half)


def facts(title: str, values: Mapping[str, str]) -> str:
    """A section of names and values; those without a value are left out."""
    items = "".join(f"<div><dt>{escape(n)}</dt><dd>{escape(v)}</dd></div>" for n, v in values.items() if v)
    return card(title, f"<dl>{items}</dl>")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """An HTML table of plain text."""
    return _table(header, ([escape(cell) for cell in row] for row in rows))


def verdicts(findings: Sequence[Finding]) -> str:
    """The checks, the worst first."""
    rows = [
        [_badge(f.verdict), escape(f.subject), escape(f.text), escape(f.remedy)]
        for f in sorted(findings, key=lambda f: VERDICTS.index(f.verdict))
    ]
    return card("Checks", _table(["verdict", "subject", "what was found", "what to do"], rows))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _badge(verdict: str) -> str:
    return f'<span class="badge {verdict}">{verdict}</span>'
