//! The charts: SVG, one for each set of curves that a row has left.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::axis::{Axis, Scale, Unit};
use crate::maps::{
    ARC_SWAP, BEFORE, DASHMAP, EVANESCE, EVANESCE_TICKS, MOKA, PAPAYA, QUICK_CACHE, RW_LOCK,
    SCC_INDEX, SCC_MAP, STD,
};
use crate::results::{Curve, IDLE, Outcome};
use crate::rows::{footprint, growth, scaling, swings, tails, writes};

/// Pixels.
const WIDTH: u32 = 1_000;
const HEIGHT: u32 = 560;
/// Of a lower panel.
const LOWER: u32 = 300;
const LEGEND: u32 = 230;
const FONT: &str = "sans-serif";

/// A chart that was drawn.
pub(super) struct Chart {
    pub(super) file: String,
    pub(super) title: &'static str,
}

/// What an axis says, and its kind.
type Named = (&'static str, Scale, Unit);

/// What a chart shows.
struct Plan {
    name: &'static str,
    title: &'static str,
    x: Named,
    y: Named,
    /// The curves of a panel below, which has the same x, and its y.
    lower: Option<(&'static str, Named)>,
}

const READS: Named = ("share of the reads that take no longer, %", Scale::Log, Unit::Nines);
const LATENCY: Named = ("latency of a read, log scale", Scale::Log, Unit::Nanos);
const ENTRIES: &str = "entries in the map";
const SINCE: Named = ("seconds since 95 % of the entries expired", Scale::Linear, Unit::Plain);
const RESIDENT: Named = ("resident memory, MiB", Scale::LinearFromZero, Unit::Mebibytes);

const PLANS: [Plan; 9] = [
    Plan {
        name: tails::EXPIRY,
        title: "Reads while half of all entries expire at one instant",
        x: READS,
        y: LATENCY,
        lower: None,
    },
    Plan {
        name: tails::CROWD,
        title: "Reads with 4 readers and 4 writers",
        x: READS,
        y: LATENCY,
        lower: None,
    },
    Plan {
        name: writes::CHART,
        title: "Reads beside a thread that overwrites",
        x: READS,
        y: LATENCY,
        lower: None,
    },
    Plan {
        name: growth::CHART,
        title: "Longest insert of each stretch while a map grows",
        x: (ENTRIES, Scale::LinearFromZero, Unit::Count),
        y: ("own processor time of an insert, log scale", Scale::Log, Unit::Nanos),
        lower: None,
    },
    Plan {
        name: scaling::SIZES,
        title: "Time of a hit against the size of the map, one thread",
        x: (ENTRIES, Scale::Log, Unit::Count),
        y: ("time of a hit, log scale", Scale::Log, Unit::Nanos),
        lower: None,
    },
    Plan {
        name: scaling::SCALE,
        title: "Hits by several threads",
        x: ("threads", Scale::Doubling, Unit::Plain),
        y: ("million hits a second, all threads", Scale::LinearFromZero, Unit::Plain),
        lower: None,
    },
    Plan {
        name: footprint::SCATTERED,
        title: "Memory through a mass expiry, survivors scattered",
        x: SINCE,
        y: RESIDENT,
        lower: None,
    },
    Plan {
        name: footprint::TOGETHER,
        title: "Memory through a mass expiry, survivors put together",
        x: SINCE,
        y: RESIDENT,
        lower: None,
    },
    Plan {
        name: swings::CHART,
        title: "Memory while a map fills by day and empties by night",
        x: ("seconds", Scale::Linear, Unit::Plain),
        y: RESIDENT,
        lower: Some((
            swings::ENTRIES,
            ("entries, with those not removed yet", Scale::LinearFromZero, Unit::Count),
        )),
    },
];

/// Draws all charts there are curves for.
pub(super) fn draw(folder: &Path, outcomes: &[Outcome]) -> Result<Vec<Chart>, String> {
    let mut charts = Vec::new();
    for plan in &PLANS {
        let all = || outcomes.iter().flat_map(|outcome| &outcome.measured.curves);
        let of = |name: &str| -> Vec<&Curve> {
            all().filter(|curve| curve.chart == name && !curve.points.is_empty()).collect()
        };
        let curves = of(plan.name);
        if curves.is_empty() {
            continue;
        }
        let lower = plan.lower.map(|(name, y)| (y, of(name)));
        let file = format!("{}.svg", plan.name);
        let path = folder.join(&file);
        let height = HEIGHT + lower.as_ref().map_or(0, |_| LOWER);
        let area = SVGBackend::new(&path, (WIDTH, height)).into_drawing_area();
        paint(&area, plan, &curves, lower.as_ref())
            .map_err(|error| format!("{}: {error}", path.display()))?;
        charts.push(Chart { file, title: plan.title });
    }
    Ok(charts)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Failure<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

fn paint<'a>(
    area: &Area<'a>,
    plan: &Plan,
    curves: &[&Curve],
    lower: Option<&(Named, Vec<&Curve>)>,
) -> Result<(), Failure<'a>> {
    area.fill(&WHITE)?;
    let (left, right) = area.split_horizontally(WIDTH - LEGEND);
    if let Some((y, lower)) = lower {
        let (above, below) = left.split_vertically(HEIGHT);
        panel(&above, Some(plan.title), plan.x, plan.y, curves)?;
        panel(&below, None, plan.x, *y, lower)?;
    } else {
        panel(&left, Some(plan.title), plan.x, plan.y, curves)?;
    }
    legend(&right, curves)?;
    area.present()
}

fn panel<'a>(
    area: &Area<'a>,
    title: Option<&str>,
    x_named: Named,
    y_named: Named,
    curves: &[&Curve],
) -> Result<(), Failure<'a>> {
    // The idle thread, which does nothing else, has far more readings than any map has reads: its
    // curve ends where the last of theirs does.
    let end = values(curves.iter().filter(|curve| curve.entrant != IDLE), 0);
    let x = Axis::new(x_named.1, x_named.2, end.into_iter());
    let y = Axis::new(y_named.1, y_named.2, values(curves.iter(), 1).into_iter());
    let mut chart = ChartBuilder::on(area);
    if let Some(title) = title {
        chart.caption(title, (FONT, 22).into_font().color(&BLACK));
    }
    let mut chart = chart
        .margin(14)
        .x_label_area_size(56)
        .y_label_area_size(84)
        .build_cartesian_2d(x.clone(), y.clone())?;
    chart
        .configure_mesh()
        .x_labels(x.marks())
        .y_labels(y.marks())
        .x_desc(x_named.0)
        .y_desc(y_named.0)
        .label_style((FONT, 15))
        .axis_desc_style((FONT, 16))
        .bold_line_style(RGBColor(222, 222, 222))
        .light_line_style(TRANSPARENT)
        .axis_style(RGBColor(90, 90, 90))
        .draw()?;
    for curve in in_order(curves) {
        let points = curve.points.iter().map(|point| (x.place(point[0]), y.place(point[1])));
        let points = points.filter(|(at, _)| x.spans(*at));
        let look = Look::of(&curve.entrant);
        if look.dashed {
            chart.draw_series(DashedLineSeries::new(points, 7, 5, look.style()))?;
        } else {
            chart.draw_series(LineSeries::new(points, look.style()))?;
        }
    }
    Ok(())
}

/// All values of one coordinate.
fn values<'c>(curves: impl Iterator<Item = &'c &'c Curve>, coordinate: usize) -> Vec<f64> {
    curves.flat_map(|curve| curve.points.iter().map(move |point| point[coordinate])).collect()
}

/// evanesce last, and so over the others.
fn in_order<'c>(curves: &[&'c Curve]) -> Vec<&'c Curve> {
    let mut curves = curves.to_vec();
    curves.sort_by_key(|curve| curve.entrant == EVANESCE);
    curves
}

/// Beside the chart, where it covers nothing.
fn legend<'a>(area: &Area<'a>, curves: &[&Curve]) -> Result<(), Failure<'a>> {
    const TOP: i32 = 64;
    const STEP: usize = 26;
    for (curve, y) in curves.iter().zip((TOP..).step_by(STEP)) {
        let look = Look::of(&curve.entrant);
        // Dashes of a line that is as short as this are two strokes.
        let strokes: &[[i32; 2]] = if look.dashed { &[[6, 17], [23, 34]] } else { &[[6, 34]] };
        for [from, to] in strokes {
            area.draw(&PathElement::new([(*from, y), (*to, y)], look.style()))?;
        }
        let style = (FONT, 15).into_font().color(&BLACK);
        area.draw(&Text::new(curve.entrant.clone(), (42, y - 8), style))?;
    }
    Ok(())
}

/// How an entrant is drawn: always alike.
struct Look {
    colour: RGBColor,
    width: u32,
    dashed: bool,
}

impl Look {
    /// Colours of Okabe and Ito, and of Tol, that most colour-blind people tell apart.
    fn of(entrant: &str) -> Self {
        let (colour, dashed) = match entrant {
            EVANESCE => (RGBColor(0xd5, 0x5e, 0x00), false),
            EVANESCE_TICKS => (RGBColor(0x44, 0xaa, 0x99), false),
            BEFORE => (RGBColor(0xd5, 0x5e, 0x00), true),
            PAPAYA => (RGBColor(0x00, 0x72, 0xb2), false),
            DASHMAP => (RGBColor(0x00, 0x9e, 0x73), false),
            SCC_MAP => (RGBColor(0xcc, 0x79, 0xa7), false),
            SCC_INDEX => (RGBColor(0x88, 0x22, 0x55), false),
            QUICK_CACHE => (RGBColor(0x56, 0xb4, 0xe9), false),
            MOKA => (RGBColor(0x11, 0x11, 0x11), false),
            RW_LOCK => (RGBColor(0x99, 0x99, 0x33), false),
            ARC_SWAP => (RGBColor(0x33, 0x22, 0x88), true),
            STD => (RGBColor(0x77, 0x77, 0x77), true),
            IDLE => (RGBColor(0xa0, 0xa0, 0xa0), true),
            _ => (RGBColor(0xe6, 0x9f, 0x00), true),
        };
        let width = if entrant == EVANESCE { 4 } else { 2 };
        Self { colour, width, dashed }
    }

    fn style(&self) -> ShapeStyle {
        ShapeStyle { color: self.colour.into(), filled: false, stroke_width: self.width }
    }
}
