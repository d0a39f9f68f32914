"""The style sheet of the report."""

from __future__ import annotations

# Colours follow Okabe & Ito's palette, which people with colour blindness can tell apart; the
# dark variants are lighter for the same contrast.
STYLE = """
:root {
  color-scheme: light dark;
  --page: #fbfbf9; --card: #ffffff; --ink: #1d2126; --soft: #626a73; --line: #e3e4e0;
  --grid: #ecece8; --c1: #0072b2; --c2: #d55e00; --c3: #e0a100; --c4: #9a5cab; --c5: #b3261e;
  --c6: #8a929a; --c7: #009e73; --good: #0b7a5c; --bad-ground: #fbe9e2;
  --shade: #0003;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --card: #1b1f23; --ink: #e8eaec; --soft: #9aa3ab; --line: #2e343a;
    --grid: #282d32; --c1: #56b4e9; --c2: #f08a4b; --c3: #f0c648; --c4: #cf9bdd; --c5: #ff7b6e;
    --c6: #78818a; --c7: #2fc39a; --good: #45c9a0; --bad-ground: #41281f;
    --shade: #000a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
main { max-width: 1180px; margin: 0 auto; padding: 40px 24px 64px; }
header h1 { margin: 0; font-size: 1.9rem; line-height: 1.2; letter-spacing: -0.01em;
  overflow-wrap: anywhere; display: flex; flex-wrap: wrap; align-items: center; gap: 6px 12px; }
header p { margin: 6px 0 0; color: var(--soft); }
.state { display: inline-block; font-size: .8rem; font-weight: 600; padding: 2px 10px;
  border-radius: 99px; letter-spacing: 0; color: var(--good); border: 1px solid currentColor; }
th .state { margin-left: 10px; }
.note { border-left: 3px solid var(--c2); margin: 0 0 12px; padding: 2px 0 2px 12px; }
.state.unfinished { color: var(--c2); }
h2 { font-size: 1.15rem; margin: 44px 0 14px; }
.cards { display: grid; gap: 12px; margin-top: 26px;
  grid-template-columns: repeat(auto-fit, minmax(172px, 1fr)); }
.card, figure, .panel { background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; }
.card { padding: 14px 16px; }
.card .name { font-size: .84rem; color: var(--soft); }
.card .figure { font-size: 1.45rem; font-weight: 650; line-height: 1.25;
  font-variant-numeric: tabular-nums; }
.card .figure small { font-size: .95rem; font-weight: 500; color: var(--soft); }
.card .more { font-size: .84rem; color: var(--soft); }
.card.main { border-color: var(--c1); box-shadow: inset 3px 0 0 var(--c1); }
.figures { display: grid; gap: 16px;
  grid-template-columns: repeat(auto-fill, minmax(min(440px, 100%), 1fr)); }
figure { margin: 0; padding: 16px 16px 10px; display: flex; flex-direction: column; }
figcaption { flex: 1; }
figcaption h3 { margin: 0; font-size: 1rem; }
figcaption p { margin: 2px 0 6px; color: var(--soft); font-size: .86rem; line-height: 1.4; }
.legend { list-style: none; margin: 0 0 8px; padding: 0; display: flex; flex-wrap: wrap;
  gap: 2px 16px; font-size: .84rem; }
.legend i { display: inline-block; width: 12px; height: 12px; border-radius: 3px;
  margin-right: 6px; vertical-align: -1px; background: currentColor; }
figure > svg { display: block; width: 100%; height: auto; }
svg text { font-size: 12px; fill: var(--soft); font-variant-numeric: tabular-nums; }
svg text.y, svg text.end { text-anchor: end; }
svg text.x { text-anchor: middle; }
svg text.value { fill: var(--ink); font-weight: 650; font-size: 13px;
  paint-order: stroke; stroke: var(--card); stroke-width: 4px; }
svg .grid { stroke: var(--grid); }
svg .axis { stroke: var(--c6); }
svg path.guide { stroke: var(--c6); stroke-dasharray: 3 4; }
svg .line { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round;
  vector-effect: non-scaling-stroke; }
svg .fine { stroke-width: 1.2; }
svg circle, svg rect { fill: currentColor; }
svg .close { shape-rendering: crispEdges; }
svg .ring { fill: none; stroke: var(--ink); stroke-width: 1.6; }
svg .cross { stroke: var(--c5); stroke-width: 1.8; fill: none; }
.c1 { color: var(--c1); } .c2 { color: var(--c2); } .c3 { color: var(--c3); }
.c4 { color: var(--c4); } .c5 { color: var(--c5); } .c6 { color: var(--c6); }
.c7 { color: var(--c7); }
svg .d1 { stroke-dasharray: 7 3; } svg .d2 { stroke-dasharray: 2 3; }
svg .d3 { stroke-dasharray: 8 3 2 3; }
.legend .d1 i, .legend .d2 i, .legend .d3 i { width: 18px; height: 4px; vertical-align: 3px; }
.legend .d1 i { background: repeating-linear-gradient(90deg, currentColor 0 7px, #0000 7px 10px); }
.legend .d2 i { background: repeating-linear-gradient(90deg, currentColor 0 2px, #0000 2px 5px); }
.legend .d3 i { background: linear-gradient(90deg, currentColor 0 8px, #0000 8px 11px,
  currentColor 11px 13px, #0000 13px); }
a { color: inherit; text-decoration-color: var(--c6); }
.amiss dl { margin: 8px 0; display: grid; grid-template-columns: auto 1fr; gap: 4px 18px; }
.amiss dt { font-weight: 600; } .amiss dd { margin: 0; overflow-wrap: anywhere; }
.legend span { color: var(--ink); }
/* What a table hides casts a shadow on the edge towards it. */
.panel { padding: 4px 16px; overflow-x: auto; background:
  linear-gradient(90deg, var(--card) 30%, #0000) left / 40px 100% no-repeat local,
  linear-gradient(270deg, var(--card) 30%, #0000) right / 40px 100% no-repeat local,
  linear-gradient(90deg, var(--shade), #0000) left / 14px 100% no-repeat,
  linear-gradient(270deg, var(--shade), #0000) right / 14px 100% no-repeat, var(--card); }
table { border-collapse: collapse; width: 100%; font-size: .92rem;
  font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 7px 10px; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
tr:last-child > * { border-bottom: 0; }
thead th { color: var(--soft); font-weight: 500; font-size: .84rem; }
tbody th { font-weight: 500; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
tr.part th { padding-left: 18px; font-weight: 400; color: var(--soft); }
details { margin-top: 12px; }
details > summary { cursor: pointer; padding: 10px 0; font-weight: 600; }
details .panel { margin-top: 4px; }
.settings { columns: 340px; column-gap: 40px; padding: 12px 16px; }
.settings section { break-inside: avoid; margin-bottom: 16px; }
.settings h3 { margin: 0 0 4px; font-size: .92rem; }
.settings dl { margin: 0; display: grid; grid-template-columns: auto 1fr; gap: 1px 14px;
  font-size: .86rem; }
.settings dt { color: var(--soft); overflow-wrap: anywhere; }
.settings dd { margin: 0; text-align: right; overflow-wrap: anywhere; }
.utterance { padding: 12px 0; border-bottom: 1px solid var(--line); }
.utterance:last-child { border-bottom: 0; }
.utterance p { margin: 0 0 6px; font-size: .86rem; color: var(--soft); overflow-wrap: anywhere; }
.words { display: flex; flex-wrap: wrap; gap: 6px 4px; }
.words span { display: flex; flex-direction: column; line-height: 1.35; padding: 2px 5px;
  border-radius: 5px; }
.words .wrong { background: var(--bad-ground); }
.words .wrong :last-child { color: var(--c2); font-weight: 600; }
.words .gap { opacity: .55; font-weight: 400 !important; }
.key { color: var(--soft); font-size: .86rem; margin: 0 0 8px; }
footer { margin-top: 44px; color: var(--soft); font-size: .84rem; }
@media (max-width: 1120px) { .cards { grid-template-columns: repeat(3, 1fr); } }
@media (max-width: 560px) {
  main { padding: 24px 14px 40px; }
  .cards { grid-template-columns: 1fr 1fr; gap: 8px; }
  .card { padding: 10px 12px; }
  .card .figure { font-size: 1.25rem; }
  figure { padding: 12px 10px 8px; }
  svg text { font-size: 15px; }
  table { font-size: .84rem; } th, td { padding: 6px 8px; }
}
@media print { figure, .card, .utterance { break-inside: avoid; } }
"""
