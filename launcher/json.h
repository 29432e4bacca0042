/* Looking into JSON text without making a tree of it: values are places in the text. No file descriptors. */
#ifndef PLOINKY_JSON_H
#define PLOINKY_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct json {
    const char *at, *end;
};

/* Whether the text is one JSON value and nothing else; its depth is bounded. */
bool json_valid(struct json text);
/* The member of an object, or the element of an array, of a text that is valid; `found->at` is NULL without one. */
struct json json_member(struct json object, const char *key);
struct json json_element(struct json array, size_t index);
bool json_is(struct json value, const char *word);
bool json_is_object(struct json value);
/* Print a string without its quotes and escapes; false if the value is no string. */
bool json_print(struct json value, FILE *out);
/* Print a value as it is. */
void json_print_raw(struct json value, FILE *out);

#endif
