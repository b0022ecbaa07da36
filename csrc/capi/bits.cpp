#include "cpu/bits.h"

#include "capi/border.h"
#include "cpu/workspace.h"

extern "C" {

int64_t hc_bit_words(int64_t batch) { return batch < 0 ? 0 : hc::bit_words(batch); }

hc_status hc_bits_pack(const float* x, int64_t batch, int64_t units, uint64_t* bits, int threads) {
    return hc::at_border([&] {
        hc::require_pointer(x, "x");
        hc::require_pointer(bits, "bits");
        hc::require_size(batch, "batch");
        hc::require_size(units, "units");
        hc::require_elements(batch, units, "x");
        hc::require_threads(threads);
        hc::Workspace workspace;
        const hc::BitRows rows = hc::take_sample_rows(batch, units, workspace);
        if (hc::pack_rows(x, batch, units, rows, threads) != hc::Values::binary)
            hc::invalid("x: expected only 0 and 1, got another value");
        hc::transpose_bits(rows, batch, units, hc::unit_rows(bits, batch), threads);
    });
}

hc_status hc_bits_unpack(const uint64_t* bits, int64_t batch, int64_t units, float* x, int threads) {
    return hc::at_border([&] {
        hc::require_pointer(bits, "bits");
        hc::require_pointer(x, "x");
        hc::require_size(batch, "batch");
        hc::require_size(units, "units");
        hc::require_elements(batch, units, "x");
        hc::require_threads(threads);
        hc::Workspace workspace;
        const hc::BitRows rows = hc::take_sample_rows(batch, units, workspace);
        hc::transpose_bits(hc::unit_rows(bits, batch), units, batch, rows, threads);
        hc::unpack_rows(rows, batch, units, x, threads);
    });
}

hc_status hc_bits_transpose(const uint64_t* bits, int64_t batch, int64_t units, uint64_t* out, int threads) {
    return hc::at_border([&] {
        hc::require_pointer(bits, "bits");
        hc::require_pointer(out, "out");
        hc::require_size(batch, "batch");
        hc::require_size(units, "units");
        hc::require_threads(threads);
        hc::transpose_bits(hc::unit_rows(bits, batch), units, batch, hc::unit_rows(out, units), threads);
    });
}

}  // extern "C"
