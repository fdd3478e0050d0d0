// What g++'s headers ask of a newer libstdc++ or glibc than libtorch's own wheel needs (GLIBCXX_3.4.24 and glibc 2.28,
// as manylinux_2_28 has them), so that the executable can run wherever libtorch does. By mangled names, since these
// functions are declared for all to see and only this executable is to use them.
#include <new>
#include <sstream>

#define HIDDEN __attribute__((visibility("hidden")))

extern "C" {
// GLIBCXX_3.4.29: std::__throw_bad_array_new_length(), of a container that would be too large.
HIDDEN void _ZSt28__throw_bad_array_new_lengthv() { throw std::bad_array_new_length(); }

// GLIBCXX_3.4.26: std::ostringstream::ostringstream().
HIDDEN void _ZNSt7__cxx1119basic_ostringstreamIcSt11char_traitsIcESaIcEEC1Ev(void* place) {
  new (place) std::ostringstream(std::ios_base::out);
}

// GLIBC_2.32: whether reference counts may do without atomic instructions; 0 is always right.
HIDDEN char __libc_single_threaded = 0;
}
