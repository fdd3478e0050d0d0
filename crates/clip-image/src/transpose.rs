//! Turning a matrix of bytes, in registers: a part of resampling's passes.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined there is compiled for any processor"
)]

/// Side of a square that is turned in registers: 2 to the power of the times that it is dealt out.
const TILE: usize = 16;

/// Rows of a matrix, which begin `pitch` bytes after each other, as columns of `out`.
#[inline(always)]
pub(crate) fn turn(matrix: &[u8], rows: usize, columns: usize, pitch: usize, out: &mut [u8]) {
    let (tiled_rows, tiled_columns) = (rows / TILE * TILE, columns / TILE * TILE);
    for y in (0..tiled_rows).step_by(TILE) {
        for x in (0..tiled_columns).step_by(TILE) {
            let mut tile: Tile = [[0; TILE]; TILE];
            for (at, line) in tile.iter_mut().enumerate() {
                line.copy_from_slice(&matrix[(y + at) * pitch + x..][..TILE]);
            }
            for (at, line) in turned_tile(tile).iter().enumerate() {
                out[(x + at) * rows + y..][..TILE].copy_from_slice(line);
            }
        }
    }
    for y in 0..rows {
        let done = if y < tiled_rows { tiled_columns } else { 0 };
        for x in done..columns {
            out[x * rows + y] = matrix[y * pitch + x];
        }
    }
}

/// A square turned in registers: see [`dealt`].
#[inline(always)]
fn turned_tile(tile: Tile) -> Tile {
    dealt(dealt(dealt(dealt(tile))))
}

type Tile = [[u8; TILE]; TILE];

/// Deals out the upper and the lower half in turn, which moves every bit of a place (row and column
/// as one number) up by one: after four times, rows and columns have changed places. Compiles to
/// unpack instructions.
#[inline(always)]
fn dealt(tile: Tile) -> Tile {
    const MIDDLE: usize = TILE / 2;
    let mut dealt = [[0; TILE]; TILE];
    for row in 0..MIDDLE {
        for column in 0..MIDDLE {
            let (upper, lower) = (&tile[row], &tile[row + MIDDLE]);
            dealt[2 * row][2 * column] = upper[column];
            dealt[2 * row][2 * column + 1] = lower[column];
            dealt[2 * row + 1][2 * column] = upper[column + MIDDLE];
            dealt[2 * row + 1][2 * column + 1] = lower[column + MIDDLE];
        }
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turning_moves_each_number_to_its_place() {
        for (rows, columns, gap) in [(16, 16, 0), (32, 48, 5), (5, 40, 0), (33, 17, 2), (1, 3, 0)] {
            let pitch = columns + gap;
            let matrix: Vec<u8> = (0..rows * pitch).map(|i| (i * 7919 % 251) as u8).collect();
            let mut turned = vec![0; rows * columns];
            turn(&matrix, rows, columns, pitch, &mut turned);
            for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
                assert_eq!(turned[x * rows + y], matrix[y * pitch + x]);
            }
        }
    }
}
