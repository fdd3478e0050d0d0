//! Pickles that are plain, crafted and cut.

use super::*;

fn no_tensor(_: &View) -> Parsed<Tensor> {
    Err("there is none".into())
}

fn refused(bytes: &[u8]) -> String {
    read(bytes, &no_tensor).unwrap_err()
}

#[test]
fn plain_values_of_protocols_two_and_four() {
    // pickle.dumps({"a": [1, -2, 70000, 2.5, True, None], "b": (1, "x")}, 2)
    let two = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xffJp\x11\x01\x00G@\x04\x00\x00\x00\x00\x00\x00\x88NeX\x01\x00\x00\x00bq\x03K\x01X\x01\x00\x00\x00xq\x04\x86q\x05u.";
    let value = read(two, &no_tensor).unwrap();
    let list = value.get("a").unwrap().elements();
    assert_eq!(list[1].as_i64(), Some(-2));
    assert_eq!(list[2].as_i64(), Some(70_000));
    assert_eq!(list[3].as_f64(), Some(2.5));
    assert_eq!(list[4].as_bool(), Some(true));
    assert_eq!(value.get("b").unwrap().elements()[1].as_str(), Some("x"));
    // pickle.dumps({"a": 2**40}, 4)
    let four = b"\x80\x04\x95\x12\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94\x8a\x06\x00\x00\x00\x00\x00\x01s.";
    assert_eq!(read(four, &no_tensor).unwrap().get("a").unwrap().as_i64(), Some(1 << 40));
}

#[test]
fn code_is_refused_by_name_and_never_run() {
    let message = refused(b"cposix\nsystem\n(X\x02\x00\x00\x00idtR.");
    assert!(message.contains("forbidden global posix.system"), "{message}");
    let message = refused(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.");
    assert!(message.contains("forbidden global builtins.eval"), "{message}");
    assert!(refused(b"ctorch\nload\n.").contains("torch.load"));
}

#[test]
fn crafted_and_cut_pickles_are_errors() {
    assert!(refused(b"").contains("cut off"));
    assert!(refused(b"X\xff\xff\xff\xffabc").contains("cut off"));
    assert!(refused(b"t.").contains("mark"));
    assert!(refused(b"0.").contains("never gave"));
    assert!(refused(b"(0.").contains("never gave"));
    assert!(refused(b"h\x07.").contains("never kept"));
    assert!(refused(b"\xff.").contains("0xff"));
    // A list in itself.
    assert!(refused(b"]q\x00h\x00a.").contains("too much"));
    // Lists of ten of the list before: ten to the eighth values.
    let mut bomb = b"]q\x00".to_vec();
    for level in 0..8u8 {
        bomb.extend_from_slice(b"](");
        for _ in 0..10 {
            bomb.extend_from_slice(&[b'h', level]);
        }
        bomb.extend_from_slice(&[b'e', b'q', level + 1]);
    }
    bomb.push(b'.');
    assert!(refused(&bomb).contains("too much"));
}

/// `times` operations on what was remembered first, in a list.
fn repeated(first: &[u8], operation: &[u8], times: usize) -> Vec<u8> {
    [first, b"](", &operation.repeat(times), b"e."].concat()
}

#[test]
fn long_values_that_are_used_again_and_again_are_bombs() {
    // A text of a megabyte, 300 times.
    let mut text = b"X\0\0\x10\0".to_vec();
    text.resize(text.len() + (1 << 20), b'x');
    text.extend(b"q\0");
    assert!(refused(&repeated(&text, b"h\0", 300)).contains("too much"));
    assert!(read(&repeated(&text, b"h\0", 100), &no_tensor).is_ok());
    // As the name of a global.
    let named = [b"X\x09\0\0\0__torch__q\x01", &text[..]].concat();
    assert!(refused(&repeated(&named, b"h\x01h\0\x93", 300)).contains("too much"));
    // A list of 100,000 pairs, made an OrderedDict 1,000 times; and as arguments.
    let mut pairs = b"](NN\x86q\x02".to_vec();
    pairs.extend(b"h\x02".repeat(100_000));
    pairs.extend(b"e\x85q\x03ccollections\nOrderedDict\nq\x04");
    assert!(refused(&repeated(&pairs, b"h\x04h\x03R", 1_000)).contains("too much"));
    let mut many = b"(".to_vec();
    many.extend(b"N".repeat(100_000));
    many.extend(b"tq\x03c__torch__\nA\nq\x04");
    assert!(refused(&repeated(&many, b"h\x04h\x03R", 1_000)).contains("too much"));
}
