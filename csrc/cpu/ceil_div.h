// How many tiles of a size cover a range.
#pragma once

#include <stdint.h>

namespace hc {

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace hc
