//! Dividing vectors into two groups of near ones: how a node of an index's tree that has become too large is split.

use super::squared_distance;

/// How often the centres are moved to the middle of their groups.
const ROUNDS: usize = 4;
/// The smaller group has at least this part of all, so that a split is never for nothing.
const SMALLEST_PART: usize = 4;

/// Two groups and their centres.
#[derive(Debug, Clone, PartialEq)]
pub struct Division {
    /// Of each vector, whether it belongs to the second group.
    pub is_second: Vec<bool>,
    pub centres: [Vec<f32>; 2],
}

fn middle<'v>(vectors: impl Iterator<Item = &'v [f32]>, dimensions: usize) -> Option<Vec<f32>> {
    let mut sum = vec![0.0_f64; dimensions];
    let mut count = 0_u32;
    for vector in vectors {
        sum.iter_mut().zip(vector).for_each(|(sum, number)| *sum += f64::from(*number));
        count += 1;
    }
    (count > 0).then(|| sum.iter().map(|sum| (sum / f64::from(count)) as f32).collect())
}

fn farthest(vectors: &[&[f32]], from: &[f32]) -> usize {
    let distances = vectors.iter().map(|vector| squared_distance(vector, from)).enumerate();
    distances.max_by(|(_, one), (_, other)| one.total_cmp(other)).map_or(0, |(at, _)| at)
}

/// Divides vectors by two means: it begins with two that are far from each other, so chance has no part in it.
pub fn divide(vectors: &[&[f32]]) -> Division {
    let dimensions = vectors.first().map_or(0, |vector| vector.len());
    let all = middle(vectors.iter().copied(), dimensions).unwrap_or_default();
    let first = vectors.get(farthest(vectors, &all)).map_or_else(Vec::new, |vector| vector.to_vec());
    let second = vectors.get(farthest(vectors, &first)).map_or_else(Vec::new, |vector| vector.to_vec());
    let mut centres = [first, second];
    let mut is_second = vec![false; vectors.len()];
    for _ in 0..ROUNDS {
        is_second = assigned(vectors, &centres);
        for (at, centre) in centres.iter_mut().enumerate() {
            let group = vectors.iter().zip(&is_second).filter(|(_, is_second)| **is_second == (at == 1));
            if let Some(middle) = middle(group.map(|(vector, _)| *vector), dimensions) {
                *centre = middle;
            }
        }
    }
    Division { is_second, centres }
}

/// Each to the nearer centre, but for those that the smaller group needs to be large enough: the least decided ones.
fn assigned(vectors: &[&[f32]], centres: &[Vec<f32>; 2]) -> Vec<bool> {
    let leaning = |vector: &&[f32]| squared_distance(vector, &centres[0]) - squared_distance(vector, &centres[1]);
    let mut order: Vec<(usize, f32)> = vectors.iter().map(leaning).enumerate().collect();
    order.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    let count = vectors.len();
    let undecided = order.iter().all(|(_, leaning)| *leaning == 0.0);
    let least = count / SMALLEST_PART;
    let first = match undecided {
        true => count / 2,
        false => order.partition_point(|(_, leaning)| *leaning <= 0.0).clamp(least, count - least),
    };
    let mut is_second = vec![false; count];
    for (at, _) in order.into_iter().skip(first) {
        is_second[at] = true;
    }
    is_second
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_heaps_are_told_apart() {
        let points: Vec<Vec<f32>> =
            (0..40).map(|n| vec![if n % 2 == 0 { 0.0 } else { 10.0 } + (n % 5) as f32 / 10.0, 1.0]).collect();
        let vectors: Vec<&[f32]> = points.iter().map(Vec::as_slice).collect();
        let division = divide(&vectors);
        let second = division.is_second[1];
        assert!((0..40).all(|n| division.is_second[n] == (second == (n % 2 == 1))));
        assert!((squared_distance(&division.centres[0], &division.centres[1]).sqrt() - 10.0).abs() < 0.1);
    }

    #[test]
    fn what_is_all_alike_is_halved_and_an_outlier_does_not_stand_alone() {
        let points = vec![vec![1.0_f32; 8]; 10];
        let vectors: Vec<&[f32]> = points.iter().map(Vec::as_slice).collect();
        assert_eq!(divide(&vectors).is_second.iter().filter(|is_second| **is_second).count(), 5);
        let mut points: Vec<Vec<f32>> = (0..20).map(|n| vec![n as f32 / 100.0]).collect();
        points[7] = vec![1_000.0];
        let vectors: Vec<&[f32]> = points.iter().map(Vec::as_slice).collect();
        let second = divide(&vectors).is_second.iter().filter(|is_second| **is_second).count();
        assert!((5..=15).contains(&second), "{second}");
    }
}
