// The functions that src/lib.rs calls, for items of one type.
#include "stack.hpp"

#include <new>

namespace {
struct Item {
    std::uint64_t number;
    std::uint64_t check;
};
using Items = Stack<Item, 3, STACK_FIXED>;
static_assert(sizeof(Items) == 88 && alignof(Items) == 8, "Stack and Opaque differ");
} // namespace

extern "C" {
void stack_init(void *at) { new (at) Items; }

bool stack_push(void *stack, const Item *item) { return static_cast<Items *>(stack)->push(*item); }

bool stack_pop(void *stack, Item *item) { return static_cast<Items *>(stack)->pop(*item); }
}
