//! A header that is decoded is encoded to the same bytes, and no prefix of it is a header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openline::proto::{FrameHeader, Role};

fuzz_target!(|bytes: &[u8]| {
    for sender in [Role::Client, Role::Server] {
        let decoded = FrameHeader::decode(bytes, sender);
        if let Ok(Some((header, size))) = decoded {
            assert_eq!(header.encode().as_bytes(), &bytes[..size]);
            assert_eq!(FrameHeader::decode(&bytes[..size - 1], sender), Ok(None));
        }
        // More bytes never change an answer once given.
        for cut in 0..bytes.len().min(15) {
            match FrameHeader::decode(&bytes[..cut], sender) {
                Ok(None) => {}
                answer => assert_eq!(answer, decoded),
            }
        }
    }
});
