/**
 * Keeps many small byte strings outside of the JavaScript heap, in pages of equal slots. A `Buffer` of its own costs
 * some 200 bytes of heap and work for every garbage collection; here a byte string costs its slot and a number.
 * What goes in and out is copied, so nobody holds a view of memory that is used again later.
 */
export interface ByteArena {
  /** Copies the bytes in; answers a whole number that stands for them until `free`. */
  put(bytes: Uint8Array): number;
  /** A copy of the bytes, for use now: it may share the memory of Node's pool, which lives as long as it does. */
  get(ref: number): Buffer;
  /** Gives the room back; the number may be used again. */
  free(ref: number): void;
  clear(): void;
}

const PAGE = 65_536;
/** Slots are multiples of it. */
const GRAIN = 32;
/** The length of the bytes stands at the beginning of a slot. */
const HEAD = 2;
/** Longer ones get memory of their own. */
const LONGEST_SLOT = 4096;
const SLOTS = PAGE / GRAIN;

interface Page {
  readonly bytes: Buffer;
  readonly slotSize: number;
  used: number;
  /** Slots from here on were never used. */
  fresh: number;
  readonly freed: number[];
}

export function createByteArena(): ByteArena {
  const pages: (Page | undefined)[] = [];
  const vacant: number[] = [];
  /** By slot size: numbers of the pages that have a free slot. */
  const roomy = new Map<number, Set<number>>();
  /** By negative number: what is too long for a slot. */
  const long = new Map<number, Buffer>();
  let longCount = 0;

  const pageWithRoom = (slotSize: number): number => {
    let candidates = roomy.get(slotSize);
    if (!candidates) roomy.set(slotSize, (candidates = new Set()));
    for (const index of candidates) return index;
    const index = vacant.pop() ?? pages.length;
    pages[index] = { bytes: Buffer.allocUnsafeSlow(PAGE), slotSize, used: 0, fresh: 0, freed: [] };
    candidates.add(index);
    return index;
  };

  const pageAt = (index: number): Page => {
    const page = pages[index];
    if (!page) throw new RangeError('no bytes are kept under this number');
    return page;
  };

  return {
    put(bytes) {
      const slotSize = Math.ceil((bytes.length + HEAD) / GRAIN) * GRAIN;
      if (slotSize > LONGEST_SLOT) {
        long.set(--longCount, Buffer.from(bytes));
        return longCount;
      }
      const index = pageWithRoom(slotSize);
      const page = pageAt(index);
      const slot = page.freed.pop() ?? page.fresh++;
      page.used++;
      if ((page.used + 1) * slotSize > PAGE) roomy.get(slotSize)?.delete(index);
      page.bytes.writeUInt16LE(bytes.length, slot * slotSize);
      page.bytes.set(bytes, slot * slotSize + HEAD);
      return index * SLOTS + slot;
    },

    get(ref) {
      if (ref < 0) return Buffer.from(long.get(ref) ?? []);
      const { bytes, slotSize } = pageAt(Math.floor(ref / SLOTS));
      const start = (ref % SLOTS) * slotSize;
      const copy = Buffer.allocUnsafe(bytes.readUInt16LE(start));
      bytes.copy(copy, 0, start + HEAD);
      return copy;
    },

    free(ref) {
      if (ref < 0) {
        long.delete(ref);
        return;
      }
      const index = Math.floor(ref / SLOTS);
      const page = pageAt(index);
      page.used--;
      if (page.used === 0) {
        pages[index] = undefined;
        vacant.push(index);
        roomy.get(page.slotSize)?.delete(index);
      } else {
        page.freed.push(ref % SLOTS);
        roomy.get(page.slotSize)?.add(index);
      }
    },

    clear() {
      pages.length = 0;
      vacant.length = 0;
      roomy.clear();
      long.clear();
    },
  };
}
