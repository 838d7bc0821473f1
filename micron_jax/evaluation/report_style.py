"""The look of `report.html`: one column, the reader's light or dark, phone or desktop."""

CSS = """
:root {
  color-scheme: light dark;
  --page: #ffffff; --ink: #1c2126; --soft: #5b6670; --line: #d9dee3; --panel: #f5f7f9;
  --accent: 32 105 150; --warn: #8a4b00; --warn-panel: #fff4e0; --warn-line: #e2b265;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14181c; --ink: #e6eaee; --soft: #9aa6b1; --line: #333b43; --panel: #1c2228;
    --accent: 102 178 226; --warn: #f2c988; --warn-panel: #2c2416; --warn-line: #7a5a22;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: break-word;
}
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .8rem; padding-top: 1rem;
  border-top: 1px solid var(--line); }
p { margin: .5rem 0; max-width: 46rem; }
.soft, figcaption, svg text { color: var(--soft); fill: var(--soft); }
.soft { font-size: .9rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr));
  gap: .9rem; margin: 1.4rem 0 1rem; }
.card { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem;
  padding: .9rem 1rem .6rem; display: flex; flex-direction: column; }
.card .name { color: var(--soft); font-size: .9rem; }
.card .number { font-size: 2.1rem; font-weight: 600; line-height: 1.2; }
.card .beside { margin-bottom: .4rem; }
.card svg { margin-top: auto; }
.note { border-left: 3px solid var(--line); padding: .1rem 0 .1rem .9rem; }
.warn { background: var(--warn-panel); border: 1px solid var(--warn-line); color: var(--warn);
  border-radius: .5rem; padding: .6rem .9rem; margin: 1rem 0; max-width: none; }
.warn ul { margin: .3rem 0; padding-left: 1.2rem; }
.scroll { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; font-size: .92rem; }
th, td { padding: .32rem .7rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; }
th { font-weight: 600; }
thead th { color: var(--soft); vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; padding-left: .2rem; }
.matrix td { background: rgb(var(--accent) / calc(var(--share) * .55)); text-align: center;
  min-width: 4.6rem; border: 2px solid var(--page); }
.matrix td small { display: block; color: inherit; opacity: .75; }
.matrix th { border: 0; }
.matrix thead th { text-align: center; }
.subjects { columns: 17rem; column-gap: 2rem; font-size: .85rem; margin: 0 0 1rem; }
.subjects div { display: grid; grid-template-columns: 4.5rem 1fr 4.4rem; gap: .5rem;
  align-items: center; break-inside: avoid; line-height: 1.55; }
.subjects span:first-child { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.subjects span:last-child { text-align: right; color: var(--soft); }
.bar { height: .6rem; border-radius: .3rem; background: var(--line); overflow: hidden; }
.bar i { display: block; height: 100%; width: calc(var(--share) * 100%);
  background: rgb(var(--accent)); }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 1.2rem; }
figure { margin: 0; }
figcaption { font-size: .9rem; }
svg { width: 100%; height: auto; display: block; }
svg text { font-size: 12px; }
.axis { stroke: var(--soft); stroke-width: 1; }
.grid { stroke: var(--line); stroke-width: 1; }
.interval { stroke: rgb(var(--accent) / .45); stroke-width: 8; stroke-linecap: round; }
.mark { stroke: rgb(var(--accent)); stroke-width: 1.5; }
.value { fill: rgb(var(--accent)); }
.published { fill: var(--page); stroke: var(--ink); stroke-width: 2; }
.band { fill: rgb(var(--accent) / .2); }
.curve { fill: none; stroke: rgb(var(--accent)); stroke-width: 2; }
.clips { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr));
  gap: 1.4rem 1.2rem; }
.clips .frames { display: grid; grid-template-columns: repeat(3, 1fr); gap: 3px; }
.clips img { width: 100%; display: block; border-radius: 2px; }
.clips figcaption { margin-top: .3rem; overflow-wrap: anywhere; }
.clips b { color: var(--ink); font-weight: 600; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .25rem 1rem;
  font-size: .92rem; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; min-width: 0; }
details { margin-top: 1rem; }
summary { cursor: pointer; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem;
  padding: .8rem; overflow-x: auto; font-size: .82rem; line-height: 1.45; }
@media (max-width: 40rem) {
  main { padding: 1.2rem 1rem 3rem; }
  h1 { font-size: 1.4rem; }
  .matrix td { min-width: 3.4rem; }
  table { font-size: .84rem; }
  th, td { padding: .3rem .42rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; }
}
@media print { h2, figure, .card { break-inside: avoid; } details[open] pre { overflow: visible; } }
"""
