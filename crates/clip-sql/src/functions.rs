//! The functions that `sql/*.sql` may call beside DataFusion's own: one list for sessions and
//! clusters.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, FixedSizeBinaryBuilder, Float64Array, Int64Array,
    StringArray, UInt32Array, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, UInt64Type};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Raised when a function gives other values for the same arguments.
pub const VERSION: u32 = 1;

/// Bits after the point of [`surprise`]'s sums.
const FRACTION: f64 = (1u64 << 40) as f64;
/// What a certain draw adds: 2^-64 is nothing beside 1 in a double.
const CERTAIN: f64 = 64.0;

/// What [`charge`] returns: the widest number that has a minimum in SQL.
const CHARGE: DataType = DataType::Decimal128(38, 0);
/// Bits of a draw: all that a double in [0, 1) has.
const DRAW: u32 = 53;

type Body = fn(&[ArrayRef]) -> Result<ArrayRef>;

/// A function of columns. Arguments are cast to what the body wants, so that literals need no
/// casts.
#[derive(Debug)]
struct Function {
    name: &'static str,
    signature: Signature,
    returns: DataType,
    body: Body,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let columns: Result<Vec<_>> =
            args.args.into_iter().map(|value| value.into_array(rows)).collect();
        Ok(ColumnarValue::Array((self.body)(&columns?)?))
    }
}

/// Every function, by name.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let make = |name, arguments, returns, body| {
        let signature = Signature::any(arguments, Volatility::Immutable);
        Arc::new(ScalarUDF::from(Function { name, signature, returns, body }))
    };
    vec![
        make("hamming64", 2, DataType::UInt32, hamming64),
        make("phash_band", 3, DataType::UInt64, phash_band),
        make("draw", 3, DataType::Float64, draw),
        make("rarity", 2, DataType::UInt64, rarity),
        make("rarest", 1, DataType::UInt32, rarest),
        make("surprise", 2, DataType::Int64, surprise),
        make("keep_probability", 1, DataType::Float64, keep_probability),
        make("charge", 3, CHARGE, charge),
        make("charged_query", 1, DataType::UInt32, charged_query),
        make("charged_draw", 1, DataType::Float64, charged_draw),
        make("key128", 2, DataType::FixedSizeBinary(16), key128),
        make("host", 1, DataType::Utf8, host),
    ]
}

fn numbers(column: &ArrayRef) -> Result<UInt64Array> {
    Ok(cast(column, &DataType::UInt64)?.as_primitive::<UInt64Type>().clone())
}

fn texts(column: &ArrayRef) -> Result<StringArray> {
    Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone())
}

/// `hamming64(a, b)`: number of bits in which two 64-bit hashes differ.
fn hamming64(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (a, b) = (numbers(&columns[0])?, numbers(&columns[1])?);
    let distance = a.iter().zip(b.iter()).map(|(a, b)| Some((a? ^ b?).count_ones()));
    Ok(Arc::new(distance.collect::<UInt32Array>()))
}

/// `phash_band(hash, band, bands)`: the band's bits of a hash cut into `bands` nearly equal bands.
///
/// Hashes within `bands - 1` bits agree in at least one band (pigeonhole).
fn phash_band(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (hash, band) = (numbers(&columns[0])?, numbers(&columns[1])?);
    let bands = numbers(&columns[2])?;
    let cut = |hash: u64, band: u64, bands: u64| {
        let (from, to) = (64 * band / bands, 64 * (band + 1) / bands);
        let mask = u64::MAX.checked_shr(64 - (to - from) as u32).unwrap_or(0);
        (hash >> from) & mask
    };
    let values = hash.iter().zip(band.iter()).zip(bands.iter()).map(|((hash, band), bands)| {
        let (hash, band, bands) = (hash?, band?, bands?);
        (bands <= 64 && band < bands).then(|| cut(hash, band, bands))
    });
    Ok(Arc::new(values.collect::<UInt64Array>()))
}

/// `draw(seed, uid, query)`: a number in [0, 1), the same on every machine.
fn draw(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (seed, uid) = (numbers(&columns[0])?, texts(&columns[1])?);
    let query = numbers(&columns[2])?;
    let values = seed.iter().zip(uid.iter()).zip(query.iter()).map(|((seed, uid), query)| {
        Some(clip_query::draw(seed?, uid?, u32::try_from(query?).ok()?))
    });
    Ok(Arc::new(values.collect::<Float64Array>()))
}

/// `rarity(count, query)`: a key whose least value among a pair's queries is the rarest query, then
/// the lowest.
fn rarity(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (count, query) = (numbers(&columns[0])?, numbers(&columns[1])?);
    let key = |count: u64, query: u32| count.min(u64::from(u32::MAX)) << 32 | u64::from(query);
    let keys = count.iter().zip(query.iter());
    let keys = keys.map(|(count, query)| Some(key(count?, u32::try_from(query?).ok()?)));
    Ok(Arc::new(keys.collect::<UInt64Array>()))
}

/// `rarest(key)`: the query in a key of [`rarity`].
fn rarest(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let keys = numbers(&columns[0])?;
    Ok(Arc::new(keys.iter().map(|key| Some(key? as u32)).collect::<UInt32Array>()))
}

/// `charge(count, query, draw)`: [`rarity`] with the pair's draw for the query below it, whose
/// least value among a pair's queries has both the query that the pair is charged to and its draw.
fn charge(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (keys, draws) = (numbers(&rarity(&columns[..2])?)?, cast(&columns[2], &DataType::Float64)?);
    let draws = draws.as_primitive::<Float64Type>();
    let scale = (1u64 << DRAW) as f64;
    let values = keys.iter().zip(draws.iter());
    let values = values
        .map(|(key, draw)| Some(i128::from(key?) << DRAW | i128::from((draw? * scale) as u64)));
    Ok(Arc::new(values.collect::<Decimal128Array>().with_data_type(CHARGE)))
}

fn charges(column: &ArrayRef) -> Result<Decimal128Array> {
    Ok(cast(column, &CHARGE)?.as_primitive::<Decimal128Type>().clone())
}

/// `charged_query(charge)`: the query in a number of [`charge`].
fn charged_query(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let charges = charges(&columns[0])?;
    Ok(Arc::new(charges.iter().map(|c| Some((c? >> DRAW) as u32)).collect::<UInt32Array>()))
}

/// `charged_draw(charge)`: the draw in a number of [`charge`].
fn charged_draw(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let charges = charges(&columns[0])?;
    let draw = |charge: i128| (charge as u64 & ((1 << DRAW) - 1)) as f64 / (1u64 << DRAW) as f64;
    Ok(Arc::new(charges.iter().map(|c| Some(draw(c?))).collect::<Float64Array>()))
}

/// `key128(a, b)`: 16 bytes of a hash of two texts, either of which may be null: equal for equal
/// ones, and for others in one of some 10^18 cases among 10^10 rows.
fn key128(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (a, b) = (texts(&columns[0])?, texts(&columns[1])?);
    let mut keys = FixedSizeBinaryBuilder::with_capacity(a.len(), 16);
    for (a, b) in a.iter().zip(b.iter()) {
        let mut hasher = blake3::Hasher::new();
        for text in [a, b] {
            // No length, where there is no text.
            let length = text.map_or(u64::MAX, |text| text.len() as u64);
            hasher.update(&length.to_le_bytes()).update(text.unwrap_or_default().as_bytes());
        }
        keys.append_value(&hasher.finalize().as_bytes()[..16])?;
    }
    Ok(Arc::new(keys.finish()))
}

/// `surprise(count, limit)`: -log2 of the probability that a query of this count does not draw a
/// pair.
///
/// In fixed point, so that the sum over a pair's queries does not depend on their order.
fn surprise(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (count, limit) = (numbers(&columns[0])?, numbers(&columns[1])?);
    let bits = |count: u64, limit: u64| {
        let miss = 1.0 - limit as f64 / count.max(limit).max(1) as f64;
        ((-miss.log2()).min(CERTAIN) * FRACTION).round() as i64
    };
    let values = count.iter().zip(limit.iter()).map(|(count, limit)| Some(bits(count?, limit?)));
    Ok(Arc::new(values.collect::<Int64Array>()))
}

/// `keep_probability(sum)`: probability that at least one query draws the pair, from the sum of
/// [`surprise`].
fn keep_probability(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let sums = cast(&columns[0], &DataType::Int64)?;
    let sums = sums.as_primitive::<Int64Type>();
    let values = sums.iter().map(|sum| Some(1.0 - (-(sum? as f64) / FRACTION).exp2()));
    Ok(Arc::new(values.collect::<Float64Array>()))
}

/// `host(url)`: the host of a URL in lower case, without user, port and final dot.
fn host(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let urls = texts(&columns[0])?;
    Ok(Arc::new(urls.iter().map(|url| host_of(url?)).collect::<StringArray>()))
}

fn host_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = match host.strip_prefix('[') {
        Some(address) => address.split(']').next()?,
        None => host.split(':').next()?,
    };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    Some(host).filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(values: &[u64]) -> ArrayRef {
        Arc::new(UInt64Array::from(values.to_vec()))
    }

    #[test]
    fn bands_cover_the_hash_and_near_hashes_share_one() {
        let mut state = 7u64;
        for _ in 0..500 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let near = state ^ (1 << (state % 64)) ^ (1 << ((state >> 8) % 64));
            for bands in [1, 3, 5, 7, 64] {
                let band = |hash: u64, band: u64| {
                    let columns = [column(&[hash]), column(&[band]), column(&[bands])];
                    phash_band(&columns).unwrap().as_primitive::<UInt64Type>().value(0)
                };
                let joined = (0..bands).map(|b| band(state, b) << (64 * b / bands));
                assert_eq!(joined.fold(0, |a, b| a | b), state);
                let shared = (0..bands).any(|b| band(state, b) == band(near, b));
                assert!(bands < 3 || shared);
            }
        }
    }

    #[test]
    fn the_sum_of_surprise_is_the_probability_of_any_draw() {
        for counts in [&[20_u64, 20][..], &[5], &[1000, 77, 12_345], &[1_000_000_000, 11]] {
            let limit = vec![10; counts.len()];
            let bits = surprise(&[column(counts), column(&limit)]).unwrap();
            let sum: i64 = bits.as_primitive::<Int64Type>().values().iter().sum();
            let sums: ArrayRef = Arc::new(Int64Array::from(vec![sum]));
            let kept = keep_probability(&[sums]).unwrap();
            let kept = kept.as_primitive::<arrow::datatypes::Float64Type>().value(0);
            let expected = clip_query::keep_probability(counts.iter().copied(), 10);
            assert!((kept - expected).abs() < 1e-10, "{kept} {expected}");
        }
    }

    #[test]
    fn a_charge_has_the_rarest_query_and_its_draw() {
        let (counts, queries) = (column(&[9, 5, 5, 1 << 40]), column(&[1, 7, 3, u32::MAX.into()]));
        let draws: ArrayRef = Arc::new(Float64Array::from_iter_values(
            [0, 1, 2, 3].map(|query| clip_query::draw(7, "a uid", query)),
        ));
        let charges = charge(&[counts, queries.clone(), draws.clone()]).unwrap();
        let one = std::slice::from_ref(&charges);
        let (found, drawn) = (charged_query(one).unwrap(), charged_draw(one).unwrap());
        assert_eq!(&cast(&found, &DataType::UInt64).unwrap(), &queries);
        assert_eq!(&drawn, &draws);
        let values = charges.as_primitive::<Decimal128Type>().values();
        let order = [2, 1, 0, 3].map(|at| values[at]);
        assert!(order.is_sorted() && values.iter().all(|value| *value > 0));
    }

    #[test]
    fn keys_of_two_texts_tell_them_apart() {
        let texts =
            |texts: &[Option<&str>]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
        let a = texts(&[Some("ab"), Some("a"), Some("ab"), None, Some(""), None, Some("ab")]);
        let b = texts(&[Some("c"), Some("bc"), None, Some("ab"), None, Some(""), Some("c")]);
        let keys = key128(&[a, b]).unwrap();
        let keys = keys.as_fixed_size_binary();
        let keys: Vec<&[u8]> = keys.iter().map(Option::unwrap).collect();
        assert_eq!(keys[0], keys[6]);
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len() - 1);
    }

    #[test]
    fn hosts_lose_user_port_and_case() {
        assert_eq!(
            host_of("https://a:b@Img.Example.org.:8080/x?y"),
            Some("img.example.org".into())
        );
        assert_eq!(host_of("http://[::1]:80/"), Some("::1".into()));
        assert_eq!(host_of("http://x?y"), Some("x".into()));
        assert_eq!(
            (host_of("no address"), host_of("http://"), host_of("http:///x")),
            (None, None, None)
        );
    }

    #[test]
    fn nulls_stay_nulls() {
        let columns: [ArrayRef; 2] =
            [Arc::new(UInt64Array::from(vec![None, Some(1)])), column(&[1, 3])];
        let distance = hamming64(&columns).unwrap();
        assert!(distance.is_null(0));
        assert_eq!(distance.as_primitive::<arrow::datatypes::UInt32Type>().value(1), 1);
    }
}
