#pragma once

#include <stdint.h>

#include <string>

namespace hc_test {

// Launches the named scenario, sound for defect 0 and broken on purpose otherwise. Buffers hold 1024 elements.
void run_scenario(const std::string& name, int defect, const float* in, float* out, unsigned* counts, uint8_t* bytes);

}  // namespace hc_test
