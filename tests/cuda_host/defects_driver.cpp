// Runs one scenario of defects.cu.
#include "cases.h"
#include "defects.h"

int main() {
    const hc_test::Case c = hc_test::Case::read();
    const std::string name(c.bytes("scenario").data(), c.bytes("scenario").size());
    return hc_test::for_each_order([&] {
        const hc_test::Device<float> in(c.bytes("in"));
        const hc_test::Device<float> out(1024);
        const hc_test::Device<unsigned> counts(1024);
        const hc_test::Device<uint8_t> bytes(1024);
        // What a scenario leaves alone is no part of its answer.
        memset(out.get(), 0, 1024 * sizeof(float));
        memset(counts.get(), 0, 1024 * sizeof(unsigned));
        memset(bytes.get(), 0, 1024);
        hc_test::run_scenario(name, static_cast<int>(c.integer("defect")), in.get(), out.get(), counts.get(),
                              bytes.get());
        return hc_test::Outputs{{"out", out.bytes()}, {"counts", counts.bytes()}, {"bytes", bytes.bytes()}};
    });
}
