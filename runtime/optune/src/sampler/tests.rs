use serde_json::{Value, json};

use super::*;

fn space(settings: Value) -> Space {
    Space::describe(&json!({"components": {"web": {"settings": settings}}}))
        .unwrap()
        .0
}

fn small() -> Space {
    space(json!({
        "a": {"min": 0, "max": 4, "step": 1, "value": 0},
        "b": {"type": "enum", "values": ["x", "y", "z"], "value": "x"},
    }))
}

const KINDS: [SamplerKind; 4] = [
    SamplerKind::Auto,
    SamplerKind::Tpe,
    SamplerKind::Random,
    SamplerKind::Grid,
];

/// A cost without meaning that fails now and then.
fn cost(point: &Point) -> Option<f64> {
    let sum: u64 = point.0.iter().sum();
    (sum % 4 != 3).then_some(sum as f64 * 0.5 - 1.0)
}

#[test]
fn every_point_is_proposed_once_and_then_nothing() {
    for kind in KINDS {
        let space = small();
        let mut sampler = kind.build(&space, 7, 10);
        let mut proposed = std::collections::BTreeSet::new();
        while let Some(point) = sampler.ask() {
            assert!(
                point.0[0] < 5 && point.0[1] < 3,
                "{kind:?} left the space: {point:?}"
            );
            assert!(
                proposed.insert(point.clone()),
                "{kind:?} repeated {point:?}"
            );
            sampler.tell(Observation {
                cost: cost(&point),
                point,
            });
        }
        assert_eq!(proposed.len(), 15, "{kind:?}");
    }
}

#[test]
fn seed_and_history_decide_and_nothing_else() {
    for kind in KINDS {
        let space = small();
        let play = |seed: u64| {
            let mut sampler = kind.build(&space, seed, 12);
            let mut told = Vec::new();
            for _ in 0..10 {
                let point = sampler.ask().unwrap();
                assert_eq!(
                    sampler.ask().as_ref(),
                    Some(&point),
                    "{kind:?}: asking changed the answer"
                );
                let observation = Observation {
                    cost: cost(&point),
                    point,
                };
                told.push(observation.clone());
                sampler.tell(observation);
            }
            told
        };
        let first = play(1);
        assert_eq!(first, play(1), "{kind:?}");
        assert_ne!(first, play(2), "{kind:?}: the seed has no effect");
        // Rebuilt in the middle from what was told.
        for cut in 0..first.len() {
            let mut sampler = kind.build(&space, 1, 12);
            first[..cut]
                .iter()
                .cloned()
                .for_each(|each| sampler.tell(each));
            assert_eq!(
                sampler.ask().as_ref(),
                Some(&first[cut].point),
                "{kind:?} after {cut}"
            );
        }
    }
}

#[test]
fn auto_walks_a_grid_that_fits_the_budget() {
    let space = small();
    let mut auto = SamplerKind::Auto.build(&space, 3, 15);
    let mut grid = SamplerKind::Grid.build(&space, 3, 15);
    assert_eq!(auto.ask(), grid.ask());
    let mut auto = SamplerKind::Auto.build(&space, 3, 14);
    let mut tpe = SamplerKind::Tpe.build(&space, 3, 14);
    assert_eq!(auto.ask(), tpe.ask());
}

#[test]
fn a_space_without_dimensions_has_one_point() {
    for kind in KINDS {
        let mut sampler = kind.build(&Space::default(), 1, 5);
        let point = sampler.ask().unwrap();
        assert_eq!(point, Point(vec![]));
        sampler.tell(Observation {
            point,
            cost: Some(1.0),
        });
        assert_eq!(sampler.ask(), None, "{kind:?}");
    }
}

#[test]
fn a_huge_space_is_no_trouble() {
    let settings: serde_json::Map<String, Value> = (0..40)
        .map(|n| {
            (
                format!("s{n}"),
                json!({"min": 0, "max": 1e15, "step": 1, "value": 0}),
            )
        })
        .collect();
    let space = space(Value::Object(settings));
    for kind in KINDS {
        let mut sampler = kind.build(&space, 1, 5);
        for _ in 0..5 {
            let point = sampler.ask().unwrap();
            sampler.tell(Observation {
                point,
                cost: Some(1.0),
            });
        }
    }
}

/// A synthetic application: settings, true cost (`None` = crash).
struct Problem {
    name: &'static str,
    space: Space,
    truth: fn(&[f64]) -> Option<f64>,
    /// Random search's mean distance to the optimum must be at least this
    /// many times ours.
    margin: f64,
}

/// A service whose response time depends on CPU and heap; smooth.
fn smooth(x: &[f64]) -> Option<f64> {
    let (cpu, mem, threads) = (x[0] / 14.0, x[1] / 14.0, x[2] / 14.0);
    Some(
        1.0 + (cpu - 0.65).powi(2) * 3.0
            + (mem - 0.3).powi(2) * 2.0
            + (threads - 0.5 * cpu - 0.2).powi(2) * 2.0,
    )
}

/// A runtime with a collector to choose and settings that crash it.
fn mixed(x: &[f64]) -> Option<f64> {
    let (heap, threads, collector, codec) =
        (x[0] / 15.0, x[1] / 11.0, x[2] as usize, x[3] as usize);
    if heap < 0.2 && threads > 0.5 {
        return None;
    }
    let penalty = [0.5, 0.0, 0.3, 0.9][collector] + [0.25, 0.1, 0.0][codec];
    Some(1.0 + penalty + (heap - 0.75).abs() + (threads - 0.4).powi(2) * 2.0)
}

/// Six settings, of which two do not matter.
fn six(x: &[f64]) -> Option<f64> {
    let unit: Vec<f64> = x.iter().map(|each| each / 9.0).collect();
    let targets = [0.8, 0.2, 0.5, 0.9];
    let distance: f64 = targets
        .iter()
        .zip(&unit)
        .map(|(target, at)| (at - target).powi(2))
        .sum();
    Some(1.0 + 2.0 * distance)
}

fn ranges(count: usize, max: u32) -> serde_json::Map<String, Value> {
    (0..count)
        .map(|n| {
            (
                format!("s{n}"),
                json!({"min": 0, "max": max, "step": 1, "value": 0}),
            )
        })
        .collect()
}

fn problems() -> Vec<Problem> {
    let mixed_space = space(json!({
        "heap": {"min": 0, "max": 15, "step": 1, "value": 8},
        "threads": {"min": 0, "max": 11, "step": 1, "value": 6},
        "collector": {"type": "enum", "values": ["a", "b", "c", "d"], "value": "a"},
        "codec": {"type": "enum", "values": ["a", "b", "c"], "value": "a"},
    }));
    vec![
        Problem {
            name: "smooth",
            space: space(Value::Object(ranges(3, 14))),
            truth: smooth,
            margin: 2.0,
        },
        Problem {
            name: "mixed",
            space: mixed_space,
            truth: mixed,
            margin: 2.0,
        },
        Problem {
            name: "six",
            space: space(Value::Object(ranges(6, 9))),
            truth: six,
            margin: 1.6,
        },
    ]
}

/// Plays one study with 3% noise and gives the true cost of the point it
/// would have promoted.
fn play(problem: &Problem, kind: SamplerKind, seed: u64, trials: u32) -> f64 {
    use rand::RngExt as _;
    let mut noise = generator(seed ^ 0x5eed, u64::MAX);
    let mut sampler = kind.build(&problem.space, seed, trials);
    let mut best = (f64::INFINITY, f64::INFINITY);
    for _ in 0..trials {
        let Some(point) = sampler.ask() else { break };
        let at: Vec<f64> = point.0.iter().map(|index| *index as f64).collect();
        let truth = (problem.truth)(&at);
        // A sum of uniforms is near enough to a normal distribution.
        let z: f64 = (0..12).map(|_| noise.random::<f64>()).sum::<f64>() - 6.0;
        let cost = truth.map(|truth| truth * (1.0 + 0.03 * z));
        if let (Some(cost), Some(truth)) = (cost, truth)
            && cost < best.0
        {
            best = (cost, truth);
        }
        sampler.tell(Observation { point, cost });
    }
    best.1
}

fn regret(problem: &Problem, kind: SamplerKind, seeds: u64, trials: u32) -> f64 {
    let total: f64 = (0..seeds)
        .map(|seed| play(problem, kind, seed, trials) - 1.0)
        .sum();
    total / seeds as f64
}

#[test]
fn it_beats_random_search_on_noisy_problems() {
    for problem in problems() {
        let ours = regret(&problem, SamplerKind::Auto, 16, 40);
        let random = regret(&problem, SamplerKind::Random, 16, 40);
        println!(
            "{}: ours {ours:.4}, random {random:.4}, ratio {:.2}",
            problem.name,
            random / ours
        );
        assert!(
            random >= ours * problem.margin,
            "{}: mean distance to the optimum {ours:.4}, random search {random:.4}",
            problem.name
        );
    }
}

/// The end of a long study is as good as its middle: the good region of a space
/// of a million points is neither exhausted nor left.
#[test]
fn the_last_of_a_thousand_trials_are_no_random_points() {
    use rand::RngExt as _;
    let problem = problems().pop().unwrap();
    assert_eq!(problem.name, "six");
    let run = |kind: SamplerKind| {
        let mut noise = generator(0x5eed, u64::MAX);
        let mut sampler = kind.build(&problem.space, 3, 1000);
        let costs = (0..1000).map(|_| {
            let point = sampler.ask().unwrap();
            let at: Vec<f64> = point.0.iter().map(|index| *index as f64).collect();
            let truth = (problem.truth)(&at).unwrap();
            let z: f64 = (0..12).map(|_| noise.random::<f64>()).sum::<f64>() - 6.0;
            let cost = Some(truth * (1.0 + 0.03 * z));
            sampler.tell(Observation { point, cost });
            truth - 1.0
        });
        costs.collect::<Vec<f64>>()
    };
    let mean = |costs: &[f64]| costs.iter().sum::<f64>() / costs.len() as f64;
    let random = mean(&run(SamplerKind::Random));
    let ours = run(SamplerKind::Tpe);
    for block in ours[100..].chunks(100) {
        println!("{:.3} of {random:.3}", mean(block));
    }
    let last = mean(&ours[980..]);
    assert!(
        last < random / 3.0,
        "the last 20: {last:.3}, random points: {random:.3}"
    );
}
