#include "ring.h"

#include <string.h>

/* The size and alignment in src/lib.rs. */
_Static_assert(sizeof(struct ring) == 56 && _Alignof(struct ring) == 4, "struct ring and Opaque differ");
_Static_assert(sizeof(struct message) == 16, "struct message and Message differ");

void ring_init(struct ring *ring)
{
    memset(ring, 0, sizeof *ring);
}

int ring_push(struct ring *ring, const struct message *message)
{
    uint32_t tail = __atomic_load_n(&ring->tail, __ATOMIC_RELAXED);
    struct message *slot = &ring->slots[tail % RING_SLOTS];

    if (tail - __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) == RING_SLOTS)
        return -1;
#ifdef RING_FIXED
    memcpy(slot, message, sizeof *slot);
    __atomic_store_n(&ring->tail, tail + 1, __ATOMIC_RELEASE);
#else
    /* "The consumer is slower than that anyway." */
    __atomic_store_n(&ring->tail, tail + 1, __ATOMIC_RELEASE);
    memcpy(slot, message, sizeof *slot);
#endif
    return 0;
}

int ring_pop(struct ring *ring, struct message *message)
{
    uint32_t head = __atomic_load_n(&ring->head, __ATOMIC_RELAXED);

    if (head == __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE))
        return -1;
    memcpy(message, &ring->slots[head % RING_SLOTS], sizeof *message);
    __atomic_store_n(&ring->head, head + 1, __ATOMIC_RELEASE);
    return 0;
}
