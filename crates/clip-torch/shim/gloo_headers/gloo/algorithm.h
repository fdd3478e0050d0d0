// The wheel of torch ships c10d's headers but not gloo's. c10d's headers name gloo's types behind pointers
// only, and all gloo code is in libtorch_cpu.so, so these few declarations are enough to compile against.
#pragma once
