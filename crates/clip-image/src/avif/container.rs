//! The items of an AVIF file: which bytes are its image, and what is said of them (ISO/IEC
//! 23008-12; AV1 Image File Format 1.2).

use std::borrow::Cow;
use std::collections::HashMap;

use crate::bmff::{Numbers, boxes, find};
use crate::{Error, Result};

/// The kinds of item that hold EXIF and images.
type Kind = [u8; 4];

/// What the `meta` box of a file says. Nothing is copied, so that a file costs about its length.
#[derive(Default)]
pub(super) struct Meta<'a> {
    file: &'a [u8],
    data: &'a [u8],
    primary: u32,
    kinds: HashMap<u32, Kind>,
    places: HashMap<u32, Place<'a>>,
    /// Which properties an item has, by their numbers from 1.
    owners: HashMap<u32, Owned<'a>>,
    properties: Vec<(&'a Kind, &'a [u8])>,
    references: Vec<Reference<'a>>,
}

/// Where an item's bytes are: pieces of the file, or of the `idat` box.
#[derive(Clone, Copy)]
struct Place<'a> {
    method: u64,
    base: u64,
    count: u64,
    /// Bytes of the index, offset and length of a piece.
    widths: [usize; 3],
    pieces: Numbers<'a>,
}

#[derive(Clone, Copy)]
struct Owned<'a> {
    /// Bytes of a number.
    width: usize,
    numbers: Numbers<'a>,
}

struct Reference<'a> {
    kind: &'a Kind,
    from: u32,
    width: usize,
    to: Numbers<'a>,
}

/// The items that an image is put together from, row by row.
struct Layout {
    size: (u32, u32),
    columns: u32,
    rows: u32,
    tiles: Vec<u32>,
}

impl Reference<'_> {
    fn items(&self) -> impl Iterator<Item = u32> {
        let mut to = self.to;
        std::iter::from_fn(move || Some(to.number(self.width)? as u32))
    }
}

/// An image of one or more tiles, row by row.
pub(super) struct Tiles<'a> {
    pub width: u32,
    pub height: u32,
    pub columns: u32,
    pub tile: (u32, u32),
    /// The AV1 data of each.
    pub data: Vec<Cow<'a, [u8]>>,
}

/// Colours as `colr` has them (ITU-T H.273).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nclx {
    pub matrix: u16,
    pub full_range: bool,
}

fn damaged(what: &str) -> Error {
    Error::Decode(format!("AVIF: {what}"))
}

impl<'a> Meta<'a> {
    /// Reads the tables of a file.
    pub fn read(file: &'a [u8]) -> Result<Self> {
        let body = find(file, b"meta").ok_or_else(|| damaged("no image item"))?;
        let mut meta = Self { file, ..Self::default() };
        let mut rest = Numbers(body);
        rest.version().ok_or_else(|| damaged("meta is cut off"))?;
        for (name, body) in boxes(rest.0) {
            let mut body = Numbers(body);
            let read = match name {
                b"pitm" => meta.primary_item(&mut body),
                b"iinf" => meta.item_kinds(&mut body),
                b"iloc" => meta.item_places(&mut body),
                b"iref" => meta.item_references(&mut body),
                b"iprp" => meta.item_properties(body.0),
                b"idat" => {
                    meta.data = body.0;
                    Some(())
                }
                _ => Some(()),
            };
            read.ok_or_else(|| damaged(&format!("{} is damaged", String::from_utf8_lossy(name))))?;
        }
        Ok(meta)
    }

    fn primary_item(&mut self, body: &mut Numbers<'a>) -> Option<()> {
        let (version, _) = body.version()?;
        self.primary = body.number(if version == 0 { 2 } else { 4 })? as u32;
        Some(())
    }

    fn item_kinds(&mut self, body: &mut Numbers<'a>) -> Option<()> {
        let (version, _) = body.version()?;
        body.number(if version == 0 { 2 } else { 4 })?;
        for (_, body) in boxes(body.0).filter(|(name, _)| *name == b"infe") {
            let mut body = Numbers(body);
            let (version, _) = body.version()?;
            if version < 2 {
                continue;
            }
            let id = body.number(if version == 2 { 2 } else { 4 })? as u32;
            body.number(2)?;
            self.kinds.insert(id, *body.bytes(4)?.first_chunk()?);
        }
        Some(())
    }

    fn item_places(&mut self, body: &mut Numbers<'a>) -> Option<()> {
        let (version, _) = body.version()?;
        let widths = body.number(2)?;
        let [offset, length, base, index] = [12, 8, 4, 0].map(|at| (widths >> at & 15) as usize);
        let index = if version == 0 { 0 } else { index };
        let wide = if version < 2 { 2 } else { 4 };
        for _ in 0..body.number(wide)? {
            let id = body.number(wide)? as u32;
            let method = if version == 0 { 0 } else { body.number(2)? & 15 };
            // A reference to other files is followed by none.
            body.number(2)?;
            let base = body.number(base)?;
            let count = body.number(2)?;
            let piece = index + offset + length;
            if piece == 0 && count > 1 {
                return None;
            }
            let pieces = Numbers(body.bytes(piece * count as usize)?);
            let widths = [index, offset, length];
            self.places.insert(id, Place { method, base, count, widths, pieces });
        }
        Some(())
    }

    fn item_references(&mut self, body: &mut Numbers<'a>) -> Option<()> {
        let (version, _) = body.version()?;
        let width = if version == 0 { 2 } else { 4 };
        for (kind, body) in boxes(body.0) {
            let mut body = Numbers(body);
            let from = body.number(width)? as u32;
            let count = body.number(2)? as usize;
            let to = Numbers(body.bytes(count * width)?);
            self.references.push(Reference { kind, from, width, to });
        }
        Some(())
    }

    fn item_properties(&mut self, body: &'a [u8]) -> Option<()> {
        self.properties = boxes(find(body, b"ipco")?).collect();
        for (_, body) in boxes(body).filter(|(name, _)| *name == b"ipma") {
            let mut body = Numbers(body);
            let (version, flags) = body.version()?;
            let width = if flags & 1 == 0 { 1 } else { 2 };
            for _ in 0..body.number(4)? {
                let id = body.number(if version == 0 { 2 } else { 4 })? as u32;
                let count = body.number(1)? as usize;
                let numbers = Numbers(body.bytes(count * width)?);
                self.owners.insert(id, Owned { width, numbers });
            }
        }
        Some(())
    }

    /// The properties of an item, in their order.
    fn properties(&self, item: u32) -> impl Iterator<Item = (&'a Kind, &'a [u8])> {
        let mut owned = self.owners.get(&item).copied();
        std::iter::from_fn(move || {
            let Owned { width, numbers } = owned.as_mut()?;
            let number = numbers.number(*width)?;
            // The highest bit says that a reader must know the property.
            Some(number & ((1 << (8 * *width - 1)) - 1))
        })
        .filter_map(|number| self.properties.get((number as usize).checked_sub(1)?).copied())
    }

    fn property(&self, item: u32, name: &Kind) -> Option<&'a [u8]> {
        self.properties(item).find(|(found, _)| *found == name).map(|(_, body)| body)
    }

    /// The items that an item refers to in one way.
    fn referred(&self, from: u32, kind: &Kind) -> impl Iterator<Item = u32> {
        let of = self.references.iter().find(|r| r.from == from && r.kind == kind);
        of.into_iter().flat_map(Reference::items)
    }

    /// The items that refer to an item in one way.
    fn referring(&self, kind: &Kind, to: u32) -> impl Iterator<Item = u32> {
        let of_kind = self.references.iter().filter(move |reference| reference.kind == kind);
        of_kind.filter(move |reference| reference.items().any(|id| id == to)).map(|r| r.from)
    }

    /// An item's bytes: borrowed where they are in one piece.
    fn bytes(&self, item: u32) -> Option<Cow<'a, [u8]>> {
        let Place { method, base, count, widths: [index, offset, length], mut pieces } =
            *self.places.get(&item)?;
        let source = match method {
            0 => self.file,
            1 => self.data,
            _ => return None,
        };
        let mut all = Cow::Borrowed(&[][..]);
        for _ in 0..count {
            pieces.number(index)?;
            let from = usize::try_from(base.checked_add(pieces.number(offset)?)?).ok()?;
            let rest = source.get(from..)?;
            let piece = match usize::try_from(pieces.number(length)?).ok()? {
                0 => rest,
                length => rest.get(..length)?,
            };
            if count == 1 {
                return Some(Cow::Borrowed(piece));
            }
            // Pieces do not overlap in any file but a bomb.
            if all.len() + piece.len() > source.len() {
                return None;
            }
            all.to_mut().extend_from_slice(piece);
        }
        Some(all)
    }

    /// What an item's `ispe` says.
    fn size(&self, item: u32) -> Option<(u32, u32)> {
        let mut body = Numbers(self.property(item, b"ispe")?);
        body.version()?;
        Some((body.number(4)? as u32, body.number(4)? as u32))
    }

    /// The size of the image, before it is turned.
    pub fn image_size(&self) -> Result<(u32, u32)> {
        Ok(self.layout(self.primary)?.size)
    }

    fn layout(&self, item: u32) -> Result<Layout> {
        let size = self.size(item).ok_or_else(|| damaged("an image without its size"))?;
        match self.kinds.get(&item) {
            Some(b"av01") => Ok(Layout { size, columns: 1, rows: 1, tiles: vec![item] }),
            Some(b"grid") => {
                let grid = self.bytes(item).and_then(|bytes| grid(&bytes));
                let (columns, rows, sides) = grid.ok_or_else(|| damaged("grid is damaged"))?;
                let tiles: Vec<u32> = self.referred(item, b"dimg").collect();
                if sides != size || tiles.len() != (columns * rows) as usize {
                    return Err(damaged("a grid that does not fit"));
                }
                Ok(Layout { size, columns, rows, tiles })
            }
            Some(kind) => {
                let kind = String::from_utf8_lossy(kind).into_owned();
                Err(damaged(&format!("an image item of the kind {kind:?} is not decoded")))
            }
            None => Err(damaged("no image item")),
        }
    }

    /// The tiles of an item. All together have at most `max_pixels`, and no more bytes than the
    /// file: a tile that is used again and again would be a bomb.
    fn tiles(&self, item: u32, max_pixels: u64) -> Result<Tiles<'a>> {
        let Layout { size: (width, height), columns, rows, tiles } = self.layout(item)?;
        let tile = tiles.first().and_then(|item| self.size(*item));
        let tile = tile.ok_or_else(|| damaged("an image without its size"))?;
        let all = [(tile.0, columns, width), (tile.1, rows, height)].map(|(side, count, whole)| {
            let sum = u64::from(side) * u64::from(count);
            // Each row and column shows some of its tiles.
            let fits = sum >= u64::from(whole) && sum - u64::from(side) < u64::from(whole);
            fits.then_some(sum)
        });
        let [Some(across), Some(down)] = all else { return Err(damaged("tiles that do not fit")) };
        if across.saturating_mul(down) > max_pixels {
            return Err(damaged("its tiles have more pixels than are allowed"));
        }
        let (mut data, mut bytes) = (Vec::with_capacity(tiles.len()), 0);
        for item in tiles {
            let known = self.kinds.get(&item) == Some(b"av01") && self.size(item) == Some(tile);
            let some = self.bytes(item).filter(|_| known);
            let some = some.ok_or_else(|| damaged("a tile is not there"))?;
            bytes += some.len();
            if bytes > self.file.len() {
                return Err(damaged("tiles that share their bytes"));
            }
            data.push(some);
        }
        Ok(Tiles { width, height, columns, tile, data })
    }

    /// The tiles of the image.
    pub fn colour(&self, max_pixels: u64) -> Result<Tiles<'a>> {
        self.tiles(self.primary, max_pixels)
    }

    /// Those of its alpha, if it has some.
    pub fn alpha(&self, max_pixels: u64) -> Result<Option<Tiles<'a>>> {
        self.alpha_item().map(|item| self.tiles(item, max_pixels)).transpose()
    }

    fn alpha_item(&self) -> Option<u32> {
        const NAMES: [&[u8]; 2] =
            [b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0"];
        self.referring(b"auxl", self.primary).find(|item| {
            let kind = self.property(*item, b"auxC").and_then(|body| body.get(4..));
            kind.is_some_and(|kind| NAMES.iter().any(|name| kind.starts_with(name)))
        })
    }

    /// Whether the colours are multiplied by alpha already.
    pub fn is_premultiplied(&self) -> bool {
        let alpha = self.alpha_item();
        self.referred(self.primary, b"prem").any(|item| Some(item) == alpha)
    }

    /// The EXIF orientation that does what `irot` and `imir` say. The one in EXIF does not count
    /// (ISO/IEC 23000-22, section 7.3.6).
    pub fn orientation(&self) -> u32 {
        let first = |name| Some(self.property(self.primary, name)?.first()? & 3);
        // Anti-clockwise in quarters, then mirrored: 0 top to bottom, 1 left to right.
        match (first(b"irot").unwrap_or(0), first(b"imir").map(|axis| axis & 1)) {
            (0, None) => 1,
            (1, None) => 8,
            (2, None) => 3,
            (_, None) => 6,
            (0, Some(0)) | (2, Some(1)) => 4,
            (0 | 2, Some(_)) => 2,
            (1, Some(0)) | (3, Some(1)) => 5,
            (_, Some(_)) => 7,
        }
    }

    fn colours(&self, kind: &Kind) -> Option<&'a [u8]> {
        self.properties(self.primary)
            .filter(|(name, _)| *name == b"colr")
            .find_map(|(_, body)| body.strip_prefix(kind))
    }

    /// How the colours are coded, where the file says it beside the AV1 data.
    pub fn nclx(&self) -> Option<Nclx> {
        let mut body = Numbers(self.colours(b"nclx")?);
        body.number(4)?;
        let matrix = body.number(2)? as u16;
        Some(Nclx { matrix, full_range: body.number(1)? & 0x80 != 0 })
    }

    /// The colour profile.
    pub fn profile(&self) -> Option<&'a [u8]> {
        self.colours(b"prof").or_else(|| self.colours(b"rICC"))
    }

    /// The EXIF, from its TIFF header on.
    pub fn exif(&self) -> Option<&'a [u8]> {
        let mut of_image = self.referring(b"cdsc", self.primary);
        let item = of_image.find(|item| self.kinds.get(item) == Some(b"Exif"))?;
        let Cow::Borrowed(bytes) = self.bytes(item)? else { return None };
        tiff_header(bytes)
    }
}

/// Columns, rows and size of a grid.
fn grid(bytes: &[u8]) -> Option<(u32, u32, (u32, u32))> {
    let mut bytes = Numbers(bytes);
    let (version, flags) = (bytes.number(1)?, bytes.number(1)?);
    let (rows, columns) = (bytes.number(1)? as u32 + 1, bytes.number(1)? as u32 + 1);
    let width = if flags & 1 == 0 { 2 } else { 4 };
    let sides = (bytes.number(width)? as u32, bytes.number(width)? as u32);
    (version == 0).then_some((columns, rows, sides))
}

/// EXIF behind the offset of its TIFF header, as AVIF and JPEG XL have it. Some programs leave the
/// offset out.
pub(crate) fn tiff_header(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.starts_with(b"MM\0*") || bytes.starts_with(b"II*\0") {
        return Some(bytes);
    }
    let mut bytes = Numbers(bytes);
    let offset = bytes.number(4)? as usize;
    bytes.0.get(offset..)
}
