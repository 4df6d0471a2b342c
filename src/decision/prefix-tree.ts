/** Finds all values whose key a text begins with, in time of the text's matching part, however many keys there are. */
export interface PrefixTree<T> {
  insert(key: string, value: T): void;
  /** The values of all keys that `text` begins with, shortest key first. */
  find(text: string): T[];
}

interface Node<T> {
  /** The text between the parent and this node. */
  readonly edge: string;
  readonly values: T[];
  /** By the first code unit of their edge. */
  readonly children: Map<number, Node<T>>;
}

function commonLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

export function createPrefixTree<T>(): PrefixTree<T> {
  const root: Node<T> = { edge: '', values: [], children: new Map() };

  return {
    insert(key, value) {
      let node = root;
      let rest = key;
      while (rest !== '') {
        const child = node.children.get(rest.charCodeAt(0));
        if (child === undefined) {
          node.children.set(rest.charCodeAt(0), { edge: rest, values: [value], children: new Map() });
          return;
        }
        const shared = commonLength(child.edge, rest);
        rest = rest.slice(shared);
        if (shared === child.edge.length) {
          node = child;
          continue;
        }
        const lower = { ...child, edge: child.edge.slice(shared) };
        const upper: Node<T> = {
          edge: child.edge.slice(0, shared),
          values: [],
          children: new Map([[lower.edge.charCodeAt(0), lower]]),
        };
        node.children.set(upper.edge.charCodeAt(0), upper);
        node = upper;
      }
      node.values.push(value);
    },

    find(text) {
      const found = [...root.values];
      let at = 0;
      let node = root.children.get(text.charCodeAt(0));
      while (node !== undefined && text.startsWith(node.edge, at)) {
        for (const value of node.values) found.push(value);
        at += node.edge.length;
        node = at < text.length ? node.children.get(text.charCodeAt(at)) : undefined;
      }
      return found;
    },
  };
}
