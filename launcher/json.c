/* See json.h. The reader goes over the text once per question; answers of tools are small. */
#include "json.h"

#include <string.h>

enum { MOST_DEPTH = 128, FIRST_SURROGATE = 0xD800, SECOND_SURROGATE = 0xDC00, LAST_SURROGATE = 0xDFFF };

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    return p;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four hexadecimal digits, or -1. */
static long read_unit(const char *p, const char *end)
{
    long unit = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p == '"')
            return p + 1;
        if ((unsigned char)*p < 0x20)
            return NULL;
        if (*p == '\\') {
            if (++p == end || strchr("\"\\/bfnrtu", *p) == NULL || *p == '\0')
                return NULL;
            if (*p == 'u' && read_unit(p + 1, end) < 0)
                return NULL;
        }
    }
    return NULL;
}

static const char *skip_digits(const char *p, const char *end)
{
    const char *start = p;
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p == start ? NULL : p;
}

static const char *skip_number(const char *p, const char *end)
{
    if (p < end && *p == '-')
        p++;
    if (p < end && *p == '0')
        p++;
    else if ((p = skip_digits(p, end)) == NULL)
        return NULL;
    if (p < end && *p == '.' && (p = skip_digits(p + 1, end)) == NULL)
        return NULL;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        p = skip_digits(p, end);
    }
    return p;
}

static const char *skip_word(const char *p, const char *end)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t size = strlen(words[i]);
        if ((size_t)(end - p) >= size && memcmp(p, words[i], size) == 0)
            return p + size;
    }
    return NULL;
}

static const char *skip_value(const char *p, const char *end, int depth);

/* The inside of an object or array, from behind its first bracket to behind its last. */
static const char *skip_inside(const char *p, const char *end, int depth, char close)
{
    p = skip_space(p, end);
    if (p < end && *p == close)
        return p + 1;
    for (;;) {
        if (close == '}') {
            p = skip_space(p, end);
            if (p == end || *p != '"' || (p = skip_string(p, end)) == NULL)
                return NULL;
            p = skip_space(p, end);
            if (p == end || *p++ != ':')
                return NULL;
        }
        if ((p = skip_value(p, end, depth)) == NULL)
            return NULL;
        p = skip_space(p, end);
        if (p == end || (*p != ',' && *p != close))
            return NULL;
        if (*p++ == close)
            return p;
    }
}

/* What comes behind the value at p, or NULL if there is none. */
static const char *skip_value(const char *p, const char *end, int depth)
{
    p = skip_space(p, end);
    if (p == end || depth > MOST_DEPTH)
        return NULL;
    switch (*p) {
    case '{':
        return skip_inside(p + 1, end, depth + 1, '}');
    case '[':
        return skip_inside(p + 1, end, depth + 1, ']');
    case '"':
        return skip_string(p, end);
    case 't':
    case 'f':
    case 'n':
        return skip_word(p, end);
    default:
        return skip_number(p, end);
    }
}

bool json_valid(struct json text)
{
    const char *p = skip_value(text.at, text.end, 0);
    return p != NULL && skip_space(p, text.end) == text.end;
}

static struct json value_at(const char *p, const char *end)
{
    p = skip_space(p, end);
    return (struct json){p, skip_value(p, end, 0)};
}

/* Steps over members or elements; `key` NULL: the one at `index`. */
static struct json find(struct json outer, char open, const char *key, size_t index)
{
    const struct json none = {NULL, NULL};
    char close = open == '{' ? '}' : ']';
    if (outer.at == NULL || *outer.at != open)
        return none;
    const char *p = skip_space(outer.at + 1, outer.end);
    while (p < outer.end && *p != close) {
        struct json name = none;
        if (open == '{') {
            name = value_at(p, outer.end);
            p = skip_space(name.end, outer.end) + 1;
        }
        struct json value = value_at(p, outer.end);
        if (key == NULL ? index-- == 0
                        : (size_t)(name.end - name.at) == strlen(key) + 2 && memcmp(name.at + 1, key, strlen(key)) == 0)
            return value;
        p = skip_space(value.end, outer.end);
        if (p < outer.end && *p == ',')
            p = skip_space(p + 1, outer.end);
    }
    return none;
}

struct json json_member(struct json object, const char *key) { return find(object, '{', key, 0); }

struct json json_element(struct json array, size_t index) { return find(array, '[', NULL, index); }

bool json_is(struct json value, const char *word)
{
    return value.at != NULL && (size_t)(value.end - value.at) == strlen(word) &&
           memcmp(value.at, word, strlen(word)) == 0;
}

bool json_is_object(struct json value)
{
    const char *p = skip_space(value.at, value.end);
    return p < value.end && *p == '{';
}

static void print_code(unsigned long code, FILE *out)
{
    if (code < 0x80) {
        fputc((int)code, out);
    } else if (code < 0x800) {
        fputc((int)(0xC0 | code >> 6), out);
        fputc((int)(0x80 | (code & 0x3F)), out);
    } else if (code < 0x10000) {
        fputc((int)(0xE0 | code >> 12), out);
        fputc((int)(0x80 | (code >> 6 & 0x3F)), out);
        fputc((int)(0x80 | (code & 0x3F)), out);
    } else {
        fputc((int)(0xF0 | code >> 18), out);
        fputc((int)(0x80 | (code >> 12 & 0x3F)), out);
        fputc((int)(0x80 | (code >> 6 & 0x3F)), out);
        fputc((int)(0x80 | (code & 0x3F)), out);
    }
}

/* Print the escape whose letter `u` is at p; the place of its last character. */
static const char *print_unit(const char *p, const char *end, FILE *out)
{
    long first = read_unit(p + 1, end);
    p += 4;
    if (first >= FIRST_SURROGATE && first < SECOND_SURROGATE && end - p > 6 && p[1] == '\\' && p[2] == 'u') {
        long second = read_unit(p + 3, end);
        if (second >= SECOND_SURROGATE && second <= LAST_SURROGATE) {
            print_code((unsigned long)(0x10000 + ((first - FIRST_SURROGATE) << 10) + (second - SECOND_SURROGATE)), out);
            return p + 6;
        }
    }
    print_code(first >= FIRST_SURROGATE && first <= LAST_SURROGATE ? 0xFFFD : (unsigned long)first, out);
    return p;
}

bool json_print(struct json value, FILE *out)
{
    static const char letters[] = "bfnrt", codes[] = "\b\f\n\r\t";
    if (value.at == NULL || *value.at != '"')
        return false;
    for (const char *p = value.at + 1; p < value.end - 1; p++) {
        if (*p != '\\') {
            fputc(*p, out);
            continue;
        }
        const char *letter = strchr(letters, *++p);
        if (*p == 'u')
            p = print_unit(p, value.end, out);
        else
            fputc(letter != NULL ? codes[letter - letters] : *p, out);
    }
    return true;
}

void json_print_raw(struct json value, FILE *out)
{
    if (value.at != NULL)
        fwrite(value.at, 1, (size_t)(value.end - value.at), out);
}
