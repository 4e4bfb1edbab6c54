//! The allocator of every process that holds a store. Between a million small things that stay, the short-lived ones of each
//! request must not be looked for among the holes: a page of a thousand keys out of a million took glibc's allocator five times as
//! long as out of ten thousand, and takes mimalloc the same.
//!
//! The crate `mimalloc` asks for every block with its alignment. That way is the longer one, and blocks of more than a
//! kibibyte are then larger than they need be and begin where no block begins, which costs again when they are freed.

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys as mi;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

struct MiMalloc;

/// Whether a block lies so without being asked to: to 16 bytes, and one that is smaller to a word.
///
/// <https://microsoft.github.io/mimalloc/group__aligned.html>
const fn is_aligned_anyway(layout: Layout, size: usize) -> bool {
    layout.align() <= 8 || (layout.align() <= 16 && size >= 16)
}

// SAFETY: blocks come from mimalloc alone and go back to it; those that are to lie otherwise than all do are asked for by
// their alignment, and every block is freed in the same way.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for MiMalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = layout.size();
        // SAFETY: any size and any power of two may be asked for.
        unsafe {
            if is_aligned_anyway(layout, size) {
                mi::mi_malloc(size)
            } else {
                mi::mi_malloc_aligned(size, layout.align())
            }
            .cast()
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let size = layout.size();
        // SAFETY: as above.
        unsafe {
            if is_aligned_anyway(layout, size) {
                mi::mi_zalloc(size)
            } else {
                mi::mi_zalloc_aligned(size, layout.align())
            }
            .cast()
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller says that the block came from here.
        unsafe { mi::mi_free(block.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller says that the block came from here.
        unsafe {
            if is_aligned_anyway(layout, size) {
                mi::mi_realloc(block.cast(), size).cast()
            } else {
                mi::mi_realloc_aligned(block.cast(), size, layout.align()).cast()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(unsafe_code)]
    fn blocks_lie_as_they_are_asked_to() {
        let mut blocks = Vec::new();
        for align in (0..8).map(|power| 1_usize << power) {
            for size in (1..200).chain([1_000, 1_024, 1_025, 5_000, 70_000, 3 << 20]) {
                let layout = Layout::from_size_align(size, align).unwrap();
                for zeroed in [false, true] {
                    // SAFETY: the size is not zero; blocks are written within their size and freed once.
                    unsafe {
                        let block = if zeroed { ALLOCATOR.alloc_zeroed(layout) } else { ALLOCATOR.alloc(layout) };
                        assert!(block.cast_const().addr().is_multiple_of(align), "{size} bytes to {align}");
                        assert!(!zeroed || *block.add(size - 1) == 0);
                        block.write_bytes(7, size);
                        blocks.push((block, layout));
                    }
                }
            }
        }
        for (block, layout) in blocks {
            // SAFETY: as above.
            unsafe {
                let grown = ALLOCATOR.realloc(block, layout, layout.size() + 17);
                assert!(grown.cast_const().addr().is_multiple_of(layout.align()));
                assert_eq!(*grown.add(layout.size() - 1), 7);
                let layout = Layout::from_size_align(layout.size() + 17, layout.align()).unwrap();
                ALLOCATOR.dealloc(grown, layout);
            }
        }
    }
}
