/* scan.h - sixteen bytes of a head looked at with a few instructions.
 *
 * Each function says with bit i whether byte i of the sixteen from @p on is of
 * a kind; the rest of the word is 0. They need SSE2, which every x86-64 has.
 * Elsewhere SCAN_WIDTH is 0 and the parser goes by its tables alone. */
#ifndef WEB_HTTP_SCAN_H
#define WEB_HTTP_SCAN_H

#ifdef __SSE2__

#include <emmintrin.h>

enum { SCAN_WIDTH = 16, SCAN_ALL = 0xffff };

static inline __m128i
scan_load(const char *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* Letters, digits, '-' and '.': what nearly all names consist of. */
static inline unsigned
scan_plain(const char *p)
{
    __m128i bytes = scan_load(p);
    __m128i lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    /* Signed: bytes from 0x80 on are below everything. '-', '.' and '/' lie
     * next to the digits. */
    __m128i letter =
        _mm_and_si128(_mm_cmpgt_epi8(lower, _mm_set1_epi8('a' - 1)),
                      _mm_cmplt_epi8(lower, _mm_set1_epi8('z' + 1)));
    __m128i digit =
        _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8('-' - 1)),
                      _mm_cmplt_epi8(bytes, _mm_set1_epi8('9' + 1)));
    __m128i slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('/'));

    return (unsigned)_mm_movemask_epi8(
        _mm_andnot_si128(slash, _mm_or_si128(letter, digit)));
}

/* Control characters, tabs too. */
static inline unsigned
scan_controls(const char *p)
{
    __m128i bytes = scan_load(p);
    __m128i low =
        _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);

    return (unsigned)_mm_movemask_epi8(
        _mm_or_si128(low, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f))));
}

static inline unsigned
scan_percents(const char *p)
{
    return (unsigned)_mm_movemask_epi8(
        _mm_cmpeq_epi8(scan_load(p), _mm_set1_epi8('%')));
}

/* Where a path ends: no visible ASCII, or '#' or '?'. */
static inline unsigned
scan_path_ends(const char *p)
{
    __m128i bytes = scan_load(p);
    __m128i visible = _mm_cmpgt_epi8(bytes, _mm_set1_epi8(0x20));
    __m128i end =
        _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)),
                     _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('#')),
                                  _mm_cmpeq_epi8(bytes, _mm_set1_epi8('?'))));

    return (unsigned)_mm_movemask_epi8(_mm_andnot_si128(end, visible)) ^
           SCAN_ALL;
}

#else

enum { SCAN_WIDTH = 0, SCAN_ALL = 0 };

static inline unsigned
scan_plain(const char *p)
{
    (void)p;
    return 0;
}

static inline unsigned
scan_controls(const char *p)
{
    (void)p;
    return 0;
}

static inline unsigned
scan_percents(const char *p)
{
    (void)p;
    return 0;
}

static inline unsigned
scan_path_ends(const char *p)
{
    (void)p;
    return 0;
}

#endif

#endif
