"""One palette and one style sheet for all widgets; needs nothing installed.

Okabe-Ito colours for categories, always with a second cue (dash, marker, position).
The cards are light in every theme, so that figures and words keep their contrast.
"""

__all__ = [
    "BLACK", "BLUE", "FONT", "GREEN", "GRID", "INK", "LINE", "MUTED", "ORANGE",
    "PALETTE", "PURPLE", "SKY", "STYLE", "VERMILION", "YELLOW",
]  # fmt: skip

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE, YELLOW, BLACK)
INK, MUTED, LINE, GRID = "#1B2733", "#56616C", "#CBD3DB", "#EDF0F3"

FONT = "Inter, 'Segoe UI', 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"

STYLE = f"""<style>
.minihyena {{
  background: #FFFFFF; color: {INK}; border: 1px solid {LINE}; border-radius: 12px;
  padding: 18px 22px 16px; margin: 6px 0; box-sizing: border-box; max-width: 1120px;
  font-family: {FONT}; overflow: hidden;
  --jp-widgets-color: {INK}; --jp-widgets-label-color: {INK};
  --jp-widgets-readout-color: {INK}; --jp-widgets-input-color: {INK};
  --jp-widgets-input-background-color: #FFFFFF;
  --jp-widgets-input-border-color: #8A949E;
  --jp-widgets-slider-handle-background-color: {BLUE};
  --jp-widgets-slider-handle-border-color: {BLUE};
  --jp-widgets-slider-active-handle-color: {BLUE};
  --jp-widgets-slider-background-color: #B9C2CB;
  --jp-layout-color2: #EEF2F5; --jp-layout-color3: #D5DCE3; --jp-layout-color1: #FFFFFF;
  --jp-ui-font-color0: {INK}; --jp-ui-font-color1: {INK}; --jp-brand-color1: {BLUE};
  --jp-ui-font-size1: 14px; --jp-widgets-font-size: 14px;
}}
.widget-html-content:has(> .minihyena) {{ min-width: 0; }}
.minihyena .widget-html-content {{
  line-height: 1.45; white-space: normal; min-width: 0;
}}
.minihyena .mh-title {{ font-size: 18px; font-weight: 650; letter-spacing: -0.01em; }}
.minihyena .mh-notice {{ font-size: 14px; color: {MUTED}; margin: 2px 0 8px; }}
.minihyena .mh-row {{
  flex-flow: row wrap; align-items: center; gap: 6px 22px; overflow: visible;
}}
.minihyena .widget-readout {{ text-align: left; min-width: 4em; width: auto; }}
.minihyena .mh-buttons {{
  flex-flow: row wrap; gap: 8px; margin: 4px 0; overflow: visible;
}}
.minihyena .mh-progress {{ height: 10px; margin: 6px 0; }}
.minihyena .mh-progress .progress {{
  border-radius: 5px; background: #E4E9ED; height: 10px;
}}
.minihyena .noUi-target:not([disabled]) .noUi-handle {{
  background: {BLUE}; border-color: {BLUE};
}}
.minihyena button {{
  font: 600 14px/20px {FONT}; border-radius: 7px; box-shadow: none;
  height: auto; padding: 4px 10px; white-space: normal;
}}
.minihyena button:focus-visible, .minihyena select:focus-visible,
.minihyena .noUi-handle:focus-visible {{
  outline: 3px solid {SKY}; outline-offset: 2px;
}}
.minihyena .mh-sideways {{ overflow: auto hidden; }}
.minihyena .mh-sideways:focus-visible {{
  outline: 3px solid {SKY}; outline-offset: -3px;
}}
.minihyena button.mh-go:not([disabled]) {{ background: {BLUE}; color: #FFFFFF; }}
.minihyena select {{ border-radius: 6px; }}
.minihyena .mh-caption {{
  font-size: 15px; border-left: 4px solid {BLUE}; padding: 2px 0 2px 12px;
  margin: 6px 0;
}}
.minihyena .mh-chips span {{
  display: inline-block; font-size: 13px; color: {MUTED}; background: #F3F5F7;
  border-radius: 6px; padding: 2px 9px; margin: 2px 6px 2px 0;
}}
.minihyena .mh-chips b {{ color: {INK}; font-variant-numeric: tabular-nums; }}
.minihyena .mh-error {{
  font-size: 14px; color: #8A2B00; background: #FFF3EC; padding: 6px 12px;
  border-left: 4px solid {VERMILION};
  overflow-wrap: anywhere;
}}
.minihyena.mh-stale :is(.mh-picture, .mh-caption, .mh-chips, .mh-table) {{
  opacity: 0.35;
}}
.minihyena .mh-text {{
  font: 13.5px/1.5 ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace;
  background: #F7F9FA; border-radius: 8px; padding: 10px 14px; margin: 4px 0;
  white-space: pre-wrap; overflow-wrap: anywhere; max-height: 168px; overflow-y: auto;
}}
.minihyena .mh-table {{ max-height: 380px; overflow: auto; }}
.minihyena table {{ border-collapse: collapse; font-size: 13.5px; color: {INK}; }}
.minihyena caption {{ white-space: nowrap; }}
.minihyena th, .minihyena td {{
  padding: 3px 14px 3px 0; text-align: right; background: #FFFFFF; color: {INK};
  border-bottom: 1px solid {GRID}; font-variant-numeric: tabular-nums;
}}
.minihyena th {{ position: sticky; top: 0; font-weight: 600; color: {MUTED}; }}
.minihyena td:first-child, .minihyena th:first-child {{ text-align: left; }}
.minihyena caption {{ text-align: left; color: {MUTED}; padding-bottom: 4px; }}
.minihyena .mh-findings {{
  list-style: none; margin: 10px 0 2px; padding: 0; font-size: 14px; display: grid;
  grid-template-columns: repeat(auto-fill, minmax(min(300px, 100%), 1fr));
  gap: 4px 24px;
}}
.minihyena .mh-findings li {{
  margin: 0; padding: 4px 0; border-bottom: 1px solid {GRID}; overflow-wrap: anywhere;
}}
.minihyena .mh-findings i {{
  display: inline-block; width: 1.5em; font-style: normal; font-weight: 700;
  color: #00694D;
}}
.minihyena .mh-findings b {{ font-weight: 600; margin-right: 6px; }}
.minihyena .mh-findings span {{ color: {MUTED}; }}
.minihyena .mh-findings .mh-to-mend {{ grid-column: 1 / -1; }}
.minihyena .mh-findings .mh-to-mend i {{ color: #A33F00; }}
.minihyena .mh-findings code {{
  display: block; margin: 4px 0 2px 1.6em; width: fit-content;
}}
.minihyena code {{
  background: #F3F5F7; color: {INK}; padding: 1px 5px; border-radius: 4px;
}}
</style>"""
