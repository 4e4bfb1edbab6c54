//! Vector indexes: what a vector is, how near two are, which of many are the nearest, and what a search may ask.
//!
//! [`clusters`] divides vectors into two groups, which is all that the tree of an index needs; [`condition`] reads a
//! SearchConditionExpression.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/VectorSearch.html>

pub mod clusters;
pub mod condition;
mod nearest;

pub use nearest::Nearest;

use thiserror::Error;

use crate::value::{Kind, Value};

/// The most numbers of a vector.
pub const MAX_DIMENSIONS: usize = 4_096;
/// The most results of a search.
pub const MAX_TOP_K: i32 = 100;
const F32_BYTES: usize = size_of::<f32>();

// The first is AWS's text, the other two follow its pattern ("the error message pinpoints the offending element index").
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VectorError {
    #[error(
        "One or more parameter values were invalid: Invalid size for parameter {name}, Expected: {expected}, Actual: {actual}. IndexName: {index}"
    )]
    Size { name: String, expected: usize, actual: usize, index: String },
    #[error(
        "One or more parameter values were invalid: Invalid type for parameter {name}, Expected: L, Actual: {actual}. IndexName: {index}"
    )]
    Type { name: String, actual: Kind, index: String },
    #[error(
        "One or more parameter values were invalid: Invalid type for parameter {name}[{at}], Expected: 32-bit floating point N, Actual: {actual}. IndexName: {index}"
    )]
    Element { name: String, at: usize, actual: Kind, index: String },
}

/// What an index measures by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    Cosine,
    DotProduct,
    Euclidean,
}

/// The sum of the products, in lanes that the compiler puts into vector registers.
fn dot(one: &[f32], other: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let (ones, others) = (one.chunks_exact(LANES), other.chunks_exact(LANES));
    let rest: f32 = ones.remainder().iter().zip(others.remainder()).map(|(one, other)| one * other).sum();
    for (one, other) in ones.zip(others) {
        for lane in 0..LANES {
            sums[lane] += one[lane] * other[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

fn squared_distance(one: &[f32], other: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let (ones, others) = (one.chunks_exact(LANES), other.chunks_exact(LANES));
    let square = |(one, other): (&f32, &f32)| (one - other) * (one - other);
    let rest: f32 = ones.remainder().iter().zip(others.remainder()).map(square).sum();
    for (one, other) in ones.zip(others) {
        for lane in 0..LANES {
            let difference = one[lane] - other[lane];
            sums[lane] += difference * difference;
        }
    }
    sums.iter().sum::<f32>() + rest
}

impl Distance {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "COSINE" => Some(Distance::Cosine),
            "DOT_PRODUCT" => Some(Distance::DotProduct),
            "EUCLIDEAN" => Some(Distance::Euclidean),
            _ => None,
        }
    }

    /// The score of a search's result: 0 (same direction) to 2 (opposite), the distance, or the product of the two.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_SearchVectors.html>
    pub fn score(self, query: &[f32], found: &[f32]) -> f32 {
        match self {
            Distance::DotProduct => dot(query, found),
            Distance::Euclidean => squared_distance(query, found).sqrt(),
            Distance::Cosine => {
                let lengths = dot(query, query).sqrt() * dot(found, found).sqrt();
                // A vector without a direction is as far from all others as one at a right angle.
                if lengths == 0.0 { 1.0 } else { (1.0 - dot(query, found) / lengths).clamp(0.0, 2.0) }
            }
        }
    }

    /// What is less the nearer it is.
    pub fn rank(self, score: f32) -> f32 {
        match self {
            Distance::DotProduct => -score,
            Distance::Cosine | Distance::Euclidean => score,
        }
    }

    /// The vector as the tree of an index sees it: by direction alone, where that is what counts.
    pub fn placed(self, vector: &[f32]) -> Vec<f32> {
        let length = dot(vector, vector).sqrt();
        match self {
            Distance::Cosine if length > 0.0 => vector.iter().map(|number| number / length).collect(),
            _ => vector.to_vec(),
        }
    }

    /// How far the things around a centre are from a query, to say where to look first. Both are [placed](Self::placed).
    pub fn towards(self, query: &[f32], centre: &[f32]) -> f32 {
        match self {
            Distance::DotProduct => -dot(query, centre),
            Distance::Cosine | Distance::Euclidean => squared_distance(query, centre),
        }
    }
}

/// The centre that is nearest to a placed vector.
pub fn nearest_centre<'c>(vector: &[f32], centres: impl Iterator<Item = &'c [f32]>) -> usize {
    let distances = centres.map(|centre| squared_distance(vector, centre)).enumerate();
    distances.min_by(|(_, one), (_, other)| one.total_cmp(other)).map_or(0, |(at, _)| at)
}

/// The numbers of a list, at the precision of an index: 32 bits. The element that is none, where there is one.
pub fn numbers(list: &[Value]) -> Result<Vec<f32>, (usize, Kind)> {
    let number = |(at, value): (usize, &Value)| match value {
        Value::N(number) => {
            let single = number.to_string().parse::<f32>().ok().filter(|single| single.is_finite());
            single.ok_or((at, Kind::N))
        }
        other => Err((at, other.kind())),
    };
    list.iter().enumerate().map(number).collect()
}

/// The vector that an item's attribute is, for an index of so many dimensions.
pub fn of_attribute(name: &str, value: &Value, dimensions: usize, index: &str) -> Result<Vec<f32>, VectorError> {
    let (name, index) = (name.to_owned(), index.to_owned());
    let Value::L(list) = value else { return Err(VectorError::Type { name, actual: value.kind(), index }) };
    if list.len() != dimensions {
        return Err(VectorError::Size { name, expected: dimensions, actual: list.len(), index });
    }
    numbers(list).map_err(|(at, actual)| VectorError::Element { name, at, actual, index })
}

/// A vector as a list of numbers, as it is in the index.
pub fn to_value(vector: &[f32]) -> Value {
    let number = |number: &f32| crate::check::number(&number.to_string()).unwrap_or(Value::number(0));
    Value::L(vector.iter().map(number).collect())
}

/// Vectors as bytes, one after the other.
pub fn encode(vector: &[f32], out: &mut Vec<u8>) {
    vector.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

pub fn decode(bytes: &[u8]) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<F32_BYTES>();
    numbers.iter().map(|number| f32::from_le_bytes(*number)).collect()
}

/// What the numbers of a vector take.
pub const fn bytes_of(dimensions: usize) -> usize {
    dimensions * F32_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;

    /// AWS's own example: the same direction and ten times as long.
    #[test]
    fn the_three_functions_rank_as_on_aws() {
        let (query, long) = ([1.0, 0.0, 0.0, 0.0], [10.0, 0.0, 0.0, 0.0]);
        assert_eq!(Distance::Cosine.score(&query, &long), 0.0);
        assert_eq!(Distance::Euclidean.score(&query, &long), 9.0);
        assert_eq!(Distance::DotProduct.score(&query, &long), 10.0);
        assert_eq!(Distance::Cosine.score(&query, &[-3.0, 0.0, 0.0, 0.0]), 2.0);
        assert_eq!(Distance::Cosine.score(&query, &[0.0; 4]), 1.0);
        assert!(Distance::DotProduct.rank(10.0) < Distance::DotProduct.rank(-1.0));
    }

    #[test]
    fn an_attribute_is_a_vector_of_the_index_or_refused() {
        let list = |texts: &[&str]| Value::L(texts.iter().map(|text| check::number(text).unwrap()).collect());
        assert_eq!(of_attribute("e", &list(&["1", "-0.5"]), 2, "i"), Ok(vec![1.0, -0.5]));
        let short = of_attribute("e", &list(&["1"]), 2, "i").unwrap_err().to_string();
        assert_eq!(
            short,
            "One or more parameter values were invalid: Invalid size for parameter e, Expected: 2, Actual: 1. IndexName: i"
        );
        assert!(matches!(of_attribute("e", &Value::text("1,2"), 2, "i"), Err(VectorError::Type { .. })));
        let mixed = Value::L(vec![Value::number(1), Value::text("2")]);
        assert!(matches!(of_attribute("e", &mixed, 2, "i"), Err(VectorError::Element { at: 1, .. })));
        assert!(of_attribute("e", &list(&["1", "1e100"]), 2, "i").is_err(), "beyond 32 bits");
    }

    #[test]
    fn bytes_and_values_come_back() {
        let vector: Vec<f32> = (0..33).map(|n| n as f32 / 7.0 - 2.0).collect();
        let mut bytes = Vec::new();
        encode(&vector, &mut bytes);
        assert_eq!((bytes.len(), decode(&bytes)), (bytes_of(33), vector.clone()));
        let Value::L(list) = to_value(&vector) else { panic!("a list") };
        assert_eq!(numbers(&list), Ok(vector));
    }
}
