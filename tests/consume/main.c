#include <hintoncore/hintoncore.h>
#include <stdio.h>

int main(void) {
    float x[5];
    if (hc_uniform(1, 2, 5, x, 1) != HC_OK) return 1;
    puts(hc_version());
    return 0;
}
