#include "cpu/exact.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/dispatch.h"
#include "cpu/thread_pool.h"
#include "cpu/workspace.h"

// log Z by enumeration of the smaller layer (Salakhutdinov and Murray 2008, section 6): with states h enumerated, the other
// units sum out one by one,
//
//   Z = sum_h exp(b . h) prod_i (1 + exp(x_i(h))),    x_i(h) = c_i + sum_j w_ij h_j.
//
// The bits of h fall in four parts. The lowest 6 are the lanes of the kernel, for which exp of the sums of weights is
// tabulated; the next picks one of the two high states that the kernel takes at a time; the middle ones run in Gray code
// order (one bit changes, so exp(x_i) takes one multiplication by exp(+-w_ij)); a state of the top bits is a tile, whose
// exp(x_i) are computed afresh. Weights are carried as mantissa and exponent, so nothing overflows. A tile is summed by one
// thread and the tiles pairwise, in an order that depends on the number of units alone.

namespace hc {
namespace {

constexpr int kFixedBits = kLowBits + 1;
constexpr int kMaxGrayBits = 8, kWantedTileBits = 4;
constexpr double kMaxSum = 300.0;         // exp(+-300), and a product of two such, are ordinary numbers
constexpr double kMaxLogProduct = 690.0;  // of a group of units; exp(709.7) is the largest float64
constexpr double kAbsentBias = -1e12;     // of a unit that is not there: its "on" adds exactly nothing
constexpr double kLn2 = 0.693147180559945309417;

// mantissa * 2^exponent
struct Scaled {
    double mantissa = 0.0;
    int64_t exponent = 0;
};

double power_of_two(int64_t n) { return n < -1000 ? 0.0 : std::ldexp(1.0, static_cast<int>(n)); }

Scaled sum(Scaled a, Scaled b) {
    if (a.mantissa == 0.0) return b;
    if (b.mantissa == 0.0) return a;
    const int64_t top = std::max(a.exponent, b.exponent);
    Scaled s{a.mantissa * power_of_two(a.exponent - top) + b.mantissa * power_of_two(b.exponent - top), top};
    int shift = 0;
    s.mantissa = std::frexp(s.mantissa, &shift);
    s.exponent += shift;
    return s;
}

// exp(x) with the mantissa in [1, 2).
Scaled exp_scaled(double x) {
    Scaled s{0.0, static_cast<int64_t>(std::floor(x / kLn2))};
    // Rounding may put it a hair outside; taking one bit more or less keeps the product's bounds.
    s.mantissa = std::exp(x - static_cast<double>(s.exponent) * kLn2);
    if (s.mantissa < 1.0) s.mantissa = 1.0;
    return s;
}

double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

class Enumeration {
   public:
    explicit Enumeration(const hc_exact_args& p);
    Scaled tile(int64_t top_state) const;
    int64_t n_tiles() const { return int64_t{1} << (n_bits_ - kFixedBits - gray_bits_); }
    int threads() const { return threads_; }

   private:
    double weight(int64_t unit, int bit) const { return w_[static_cast<size_t>(unit * n_bits_ + bit)]; }
    void add_products(const double* high, double* product, int64_t* exponent) const;
    void add_extreme_units(int64_t state, double* product, int64_t* exponent) const;

    int n_bits_;  // enumerated units, padded to kFixedBits
    int gray_bits_;
    int threads_;
    int64_t n_units_ = 0;               // summed units in the products
    std::vector<double> w_, sum_bias_;  // [units, n_bits], [units]: those of the products first, then the extreme ones
    std::vector<double> bias_;          // [n_bits]
    std::vector<double> low_;           // [n_units, kLowStates]
    std::vector<double> flip_;          // [n_bits, 2, n_units]: exp(-w), exp(w)
    std::vector<int64_t> groups_;
    std::vector<double> low_mantissa_;  // [kLowStates]: exp of the biases of the low bits
    std::vector<int64_t> low_exponent_;
};

Enumeration::Enumeration(const hc_exact_args& p) : threads_(p.threads) {
    const bool hidden = p.n_hidden <= p.n_visible;  // enumerated
    const int64_t n_enumerated = hidden ? p.n_hidden : p.n_visible, n_summed = hidden ? p.n_visible : p.n_hidden;
    n_bits_ = static_cast<int>(std::max<int64_t>(n_enumerated, kFixedBits));
    gray_bits_ = std::clamp(n_bits_ - kFixedBits - kWantedTileBits, 0, kMaxGrayBits);
    bias_.assign(static_cast<size_t>(n_bits_), kAbsentBias);
    for (int64_t j = 0; j < n_enumerated; ++j)
        bias_[static_cast<size_t>(j)] = static_cast<double>(hidden ? p.b_hid[j] : p.b_vis[j]);

    // Units whose exp(x) may overflow go to the end and the slow way.
    std::vector<int64_t> ordinary, extreme;
    const auto w = [&](int64_t i, int64_t j) {
        return static_cast<double>(hidden ? p.w[i * p.n_hidden + j] : p.w[j * p.n_hidden + i]);
    };
    const auto c = [&](int64_t i) { return static_cast<double>(hidden ? p.b_vis[i] : p.b_hid[i]); };
    for (int64_t i = 0; i < n_summed; ++i) {
        double size = std::abs(c(i));
        for (int64_t j = 0; j < n_enumerated; ++j) size += std::abs(w(i, j));
        (size <= kMaxSum ? ordinary : extreme).push_back(i);
    }
    n_units_ = static_cast<int64_t>(ordinary.size());
    std::vector<int64_t> order = ordinary;
    order.insert(order.end(), extreme.begin(), extreme.end());
    for (const int64_t i : order) {
        sum_bias_.push_back(c(i));
        for (int64_t j = 0; j < n_bits_; ++j) w_.push_back(j < n_enumerated ? w(i, j) : 0.0);
    }

    groups_.push_back(0);
    double bound = 0.0;
    for (int64_t i = 0; i < n_units_; ++i) {
        double largest = sum_bias_[static_cast<size_t>(i)];
        for (int j = 0; j < n_bits_; ++j) largest += std::max(weight(i, j), 0.0);
        const double log_factor = std::max(largest, 0.0) + kLn2;
        if (bound + log_factor > kMaxLogProduct) {
            groups_.push_back(i);
            bound = 0.0;
        }
        bound += log_factor;
    }
    groups_.push_back(n_units_);

    for (int64_t i = 0; i < n_units_; ++i)
        for (int s = 0; s < kLowStates; ++s) {
            double x = 0.0;
            for (int j = 0; j < kLowBits; ++j) x += s >> j & 1 ? weight(i, j) : 0.0;
            low_.push_back(std::exp(x));
        }
    for (int j = 0; j < n_bits_; ++j)
        for (const double sign : {-1.0, 1.0})
            for (int64_t i = 0; i < n_units_; ++i) flip_.push_back(std::exp(sign * weight(i, j)));
    for (int s = 0; s < kLowStates; ++s) {
        double b = 0.0;
        for (int j = 0; j < kLowBits; ++j) b += s >> j & 1 ? bias_[static_cast<size_t>(j)] : 0.0;
        const Scaled scaled = exp_scaled(b);
        low_mantissa_.push_back(scaled.mantissa);
        low_exponent_.push_back(scaled.exponent);
    }
}

void Enumeration::add_products(const double* high, double* product, int64_t* exponent) const {
    EnumerateArgs a{};
    a.low = low_.data();
    a.high = high;
    a.n_units = n_units_;
    a.groups = groups_.data();
    a.n_groups = static_cast<int64_t>(groups_.size()) - 1;
    a.product = product;
    a.exponent = exponent;
    kernels().enumerate_states(&a);
}

// softplus(x) of the units that the products leave out, for the two high states and all low ones.
void Enumeration::add_extreme_units(int64_t state, double* product, int64_t* exponent) const {
    for (int s = 0; s < 2 * kLowStates; ++s) {
        const int64_t h = state | s;
        double log_factor = 0.0;
        for (size_t i = static_cast<size_t>(n_units_); i < sum_bias_.size(); ++i) {
            double x = sum_bias_[i];
            for (int j = 0; j < n_bits_; ++j) x += h >> j & 1 ? weight(static_cast<int64_t>(i), j) : 0.0;
            log_factor += softplus(x);
        }
        const Scaled factor = exp_scaled(log_factor);
        product[s] *= factor.mantissa;
        exponent[s] += factor.exponent;
    }
}

Scaled Enumeration::tile(int64_t top_state) const {
    const size_t n = static_cast<size_t>(n_units_);
    int64_t state = top_state << (kFixedBits + gray_bits_);
    Workspace workspace;
    double* high = workspace.take<double>(2 * n_units_);
    for (size_t i = 0; i < n; ++i) {
        double x = sum_bias_[i];
        for (int j = 0; j < n_bits_; ++j) x += state >> j & 1 ? weight(static_cast<int64_t>(i), j) : 0.0;
        high[i] = std::exp(x);
    }
    Scaled total;
    for (int64_t step = 0;; ++step) {
        const double* second = flip_.data() + (2 * kLowBits + 1) * n;
        for (size_t i = 0; i < n; ++i) high[n + i] = high[i] * second[i];
        double product[2 * kLowStates];
        int64_t exponent[2 * kLowStates];
        for (int m = 0; m < 2; ++m) {
            double b = m ? bias_[kLowBits] : 0.0;
            for (int j = kFixedBits; j < n_bits_; ++j) b += state >> j & 1 ? bias_[static_cast<size_t>(j)] : 0.0;
            const Scaled scaled = exp_scaled(b);
            for (int s = 0; s < kLowStates; ++s) {
                product[m * kLowStates + s] = scaled.mantissa * low_mantissa_[static_cast<size_t>(s)];
                exponent[m * kLowStates + s] = scaled.exponent + low_exponent_[static_cast<size_t>(s)];
            }
        }
        add_products(high, product, exponent);
        if (sum_bias_.size() > n) add_extreme_units(state, product, exponent);
        const int64_t top = *std::max_element(exponent, exponent + 2 * kLowStates);
        Scaled part{0.0, top};
        for (int s = 0; s < 2 * kLowStates; ++s) part.mantissa += product[s] * power_of_two(exponent[s] - top);
        total = sum(total, part);

        if (step + 1 == int64_t{1} << gray_bits_) return total;
        const int bit = kFixedBits + __builtin_ctzll(static_cast<unsigned long long>(step + 1));
        state ^= int64_t{1} << bit;
        const double* flip = flip_.data() + static_cast<size_t>(2 * bit + static_cast<int>(state >> bit & 1)) * n;
        for (size_t i = 0; i < n; ++i) high[i] *= flip[i];
    }
}

}  // namespace

double exact_log_z(const hc_exact_args& p) {
    const Enumeration enumeration(p);
    std::vector<Scaled> tiles(static_cast<size_t>(enumeration.n_tiles()));
    parallel_for(enumeration.n_tiles(), enumeration.threads(),
                 [&](int64_t t) { tiles[static_cast<size_t>(t)] = enumeration.tile(t); });
    for (size_t n = tiles.size(); n > 1; n /= 2)
        for (size_t t = 0; t < n / 2; ++t) tiles[t] = sum(tiles[2 * t], tiles[2 * t + 1]);
    return std::log(tiles[0].mantissa) + static_cast<double>(tiles[0].exponent) * kLn2;
}

}  // namespace hc
