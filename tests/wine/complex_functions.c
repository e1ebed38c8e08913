/* C99's functions of complex numbers, which numpy's Windows wheel imports and Wine 8 lacks (set_up.py says how they get
   there). In Microsoft's ABI _Fcomplex is a structure of 8 bytes, _Dcomplex and _Lcomplex are ones of 16. */
#include <complex.h>

typedef struct { float part[2]; } Single;
typedef struct { double part[2]; } Double;
#define EXPORT __declspec(dllexport)

static inline float complex single(Single a) { float complex z; __real__ z = a.part[0]; __imag__ z = a.part[1]; return z; }
static inline double complex twofold(Double a) { double complex z; __real__ z = a.part[0]; __imag__ z = a.part[1]; return z; }
static inline Single from_single(float complex z) { Single a = {{__real__ z, __imag__ z}}; return a; }
static inline Double from_double(double complex z) { Double a = {{__real__ z, __imag__ z}}; return a; }

#define REAL(name) \
    EXPORT float own_##name##f(Single a) { return name##f(single(a)); } \
    EXPORT double own_##name(Double a) { return name(twofold(a)); } \
    EXPORT double own_##name##l(Double a) { return name(twofold(a)); }
#define COMPLEX(name) \
    EXPORT Single own_##name##f(Single a) { return from_single(name##f(single(a))); } \
    EXPORT Double own_##name(Double a) { return from_double(name(twofold(a))); } \
    EXPORT Double own_##name##l(Double a) { return from_double(name(twofold(a))); }

REAL(cabs) REAL(carg)
COMPLEX(cexp) COMPLEX(clog) COMPLEX(csqrt) COMPLEX(csin) COMPLEX(ccos) COMPLEX(ctan) COMPLEX(csinh) COMPLEX(ccosh) COMPLEX(ctanh)
COMPLEX(casin) COMPLEX(cacos) COMPLEX(catan) COMPLEX(casinh) COMPLEX(cacosh) COMPLEX(catanh)
EXPORT float own_crealf(Single a) { return a.part[0]; }
EXPORT double own_creal(Double a) { return a.part[0]; }
EXPORT double own_creall(Double a) { return a.part[0]; }
EXPORT float own_cimagf(Single a) { return a.part[1]; }
EXPORT double own_cimag(Double a) { return a.part[1]; }
EXPORT double own_cimagl(Double a) { return a.part[1]; }
EXPORT Single own_cpowf(Single a, Single b) { return from_single(cpowf(single(a), single(b))); }
EXPORT Double own_cpow(Double a, Double b) { return from_double(cpow(twofold(a), twofold(b))); }
EXPORT Double own_cpowl(Double a, Double b) { return from_double(cpow(twofold(a), twofold(b))); }
