#include <cstdio>
#include <string>
#include <vector>

#include <hintoncore/hintoncore.h>

int main() {
    const int64_t batch = 100, units = 7;
    std::vector<float> x(static_cast<size_t>(batch * units), 1.0f), back(x.size());
    std::vector<uint64_t> bits(static_cast<size_t>(units * hc_bit_words(batch)));
    if (hc_bits_pack(x.data(), batch, units, bits.data(), 0) != HC_OK) return 1;
    if (hc_bits_unpack(bits.data(), batch, units, back.data(), 0) != HC_OK || back != x) return 1;
    if (hc_set_isa("nothing") != HC_INVALID_ARGUMENT || std::string(hc_last_error()).empty()) return 1;
    std::printf("%s\n", hc_version());
    return 0;
}
