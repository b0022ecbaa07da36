// How a driver gets its inputs and gives its outputs: records "name type bytes\n" followed by the raw bytes,
// on stdin and stdout (see ../harness.py). And `for_each_order`, which every driver runs its kernels under.
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include <map>
#include <string>
#include <vector>

#include "shim.h"

namespace hc_test {

class Case {
   public:
    static Case read() {
        Case c;
        char name[64];
        size_t bytes;
        while (scanf("%63s %zu", name, &bytes) == 2) {
            getchar();
            std::vector<char> data(bytes);
            if (fread(data.data(), 1, bytes, stdin) != bytes) hc_shim::fail("driver", "short input for %s", name);
            c.data_[name] = std::move(data);
        }
        return c;
    }
    bool has(const std::string& name) const { return data_.count(name) != 0; }
    const std::vector<char>& bytes(const std::string& name) const {
        const auto it = data_.find(name);
        if (it == data_.end()) hc_shim::fail("driver", "no input named %s", name.c_str());
        return it->second;
    }
    int64_t integer(const std::string& name) const { return scalar<int64_t>(name); }
    uint64_t natural(const std::string& name) const { return scalar<uint64_t>(name); }
    double real(const std::string& name) const { return scalar<double>(name); }

   private:
    template <typename T>
    T scalar(const std::string& name) const {
        const std::vector<char>& b = bytes(name);
        if (b.size() != sizeof(T)) hc_shim::fail("driver", "%s is no scalar", name.c_str());
        T v;
        memcpy(&v, b.data(), sizeof(T));
        return v;
    }
    std::map<std::string, std::vector<char>> data_;
};

// Device memory of exact size. Inputs must come out of the kernel as they went in; outputs start poisoned.
template <typename T>
class Device {
   public:
    explicit Device(size_t n) : n_(n) { allocate(); }
    explicit Device(const std::vector<char>& bytes) : n_(bytes.size() / sizeof(T)), original_(bytes) {
        allocate();
        memcpy(p_, bytes.data(), bytes.size());
    }
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;
    ~Device() {
        if (!original_.empty() && memcmp(original_.data(), p_, original_.size()))
            hc_shim::fail("input-changed", "the kernel wrote to one of its inputs");
        cudaFree(p_);
    }
    T* get() const { return p_; }
    std::vector<char> bytes() const {
        const char* const raw = reinterpret_cast<const char*>(p_);
        return std::vector<char>(raw, raw + n_ * sizeof(T));
    }

   private:
    void allocate() {
        void* p = nullptr;
        cudaMalloc(&p, n_ * sizeof(T));
        p_ = static_cast<T*>(p);
    }
    size_t n_;
    T* p_ = nullptr;
    std::vector<char> original_;
};

using Outputs = std::map<std::string, std::vector<char>>;

// Runs `once` with threads and blocks in forward, reverse and three random orders over memory poisoned in
// different ways. All must give the same bytes, which go to stdout.
template <typename Once>
int for_each_order(Once&& once) {
    using hc_shim::Order;
    const struct {
        Order order;
        uint64_t seed;
        unsigned char poison;
        const char* name;
    } runs[] = {{Order::kForward, 0, 0xFF, "forward"},
                {Order::kReverse, 0, 0xA5, "reverse"},
                {Order::kRandom, 1, 0x7E, "random 1"},
                {Order::kRandom, 2, 0x00, "random 2"},
                {Order::kRandom, 3, 0x3F, "random 3"}};
    Outputs first;
    for (const auto& run : runs) {
        hc_shim::set_run(run.order, run.seed, run.poison);
        Outputs now;
        try {
            now = once();
        } catch (const std::exception& e) {
            hc_shim::fail("exception", "%s", e.what());
        }
        if (&run == runs) {
            first = now;
            continue;
        }
        for (const auto& entry : first)
            if (now[entry.first] != entry.second)
                hc_shim::fail("order", "output %s differs between orders forward and %s", entry.first.c_str(),
                              run.name);
    }
    for (const auto& entry : first) {
        printf("%s %zu\n", entry.first.c_str(), entry.second.size());
        fwrite(entry.second.data(), 1, entry.second.size(), stdout);
    }
    return 0;
}

}  // namespace hc_test
