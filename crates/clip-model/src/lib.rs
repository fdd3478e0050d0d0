//! CLIP's ResNets, ViTs and text transformer; weights in and out.
