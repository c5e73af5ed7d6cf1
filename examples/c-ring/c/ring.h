/* A ring of messages from one process to another, in memory that both have mapped. */
#ifndef RING_H
#define RING_H

#include <stdint.h>

#define RING_SLOTS 3

struct message {
    uint32_t length; /* bytes of the text */
    char text[12];
};

struct ring {
    uint32_t head; /* messages taken; the consumer's */
    uint32_t tail; /* messages put in; the producer's */
    struct message slots[RING_SLOTS];
};

/* Makes it empty. No process may use it meanwhile. */
void ring_init(struct ring *ring);

/* Copies a message in; 0, or -1 if there is no room. One process at a time. */
int ring_push(struct ring *ring, const struct message *message);

/* Copies the oldest message out; 0, or -1 if there is none. One process at a time. */
int ring_pop(struct ring *ring, struct message *message);

#endif
