// A lock-free stack of N items in place, which several processes may share: links are numbers of slots, and no addresses.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

// A number of a slot, and a tag that each change counts on: a slot that was popped and pushed again has another one.
template <bool Tagged> struct Link {
    std::uint32_t slot;
    std::uint32_t tag;

    Link to(std::uint32_t next) const { return {next, Tagged ? tag + 1 : 0}; }
};

// A list of slots whose first one is taken and put back by an exchange.
template <typename Slots, bool Tagged> class List {
    static_assert(std::atomic<Link<Tagged>>::is_always_lock_free);
    std::atomic<Link<Tagged>> first;

  public:
    static constexpr std::uint32_t none = UINT32_MAX;

    explicit List(std::uint32_t slot) : first(Link<Tagged>{slot, 0}) {}

    void put(Slots &slots, std::uint32_t slot)
    {
        auto seen = first.load(std::memory_order_relaxed);
        do {
            slots[slot].next.store(seen.slot, std::memory_order_relaxed);
        } while (!first.compare_exchange_weak(seen, seen.to(slot), std::memory_order_release,
                                              std::memory_order_relaxed));
    }

    std::uint32_t take(Slots &slots)
    {
        auto seen = first.load(std::memory_order_acquire);
        while (seen.slot != none) {
            auto next = slots[seen.slot].next.load(std::memory_order_relaxed);
            if (first.compare_exchange_weak(seen, seen.to(next), std::memory_order_acquire,
                                            std::memory_order_acquire))
                break;
        }
        return seen.slot;
    }
};

template <typename T, std::size_t N, bool Tagged> class Stack {
    struct Slot {
        std::atomic<std::uint32_t> next;
        T item;
    };
    using Slots = Slot[N];
    Slots slots;
    List<Slots, Tagged> items{List<Slots, Tagged>::none};
    List<Slots, Tagged> free{0};

  public:
    Stack()
    {
        for (std::size_t slot = 0; slot < N; slot++)
            slots[slot].next.store(slot + 1 < N ? slot + 1 : items.none, std::memory_order_relaxed);
    }

    bool push(const T &item)
    {
        auto slot = free.take(slots);
        if (slot == free.none)
            return false;
        slots[slot].item = item;
        items.put(slots, slot);
        return true;
    }

    bool pop(T &item)
    {
        auto slot = items.take(slots);
        if (slot == items.none)
            return false;
        item = slots[slot].item;
        free.put(slots, slot);
        return true;
    }
};
