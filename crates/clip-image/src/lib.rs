//! Images: probe, decode, resize, encode, perceptual hashes and the Hamming index.
