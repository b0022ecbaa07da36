// Stands in for the NVIDIA driver on machines without one: it knows its version, and that there is no device.
#ifndef VERSION
#define VERSION 99000
#endif
#define NO_DEVICE 100

int cuInit(unsigned flags) {
    (void)flags;
    return NO_DEVICE;
}
int cuDriverGetVersion(int* version) {
    *version = VERSION;
    return 0;
}
