/** Markdown as a tree of plain objects. Nothing of it ever becomes HTML: tags in a text are dropped, links lead only to
 *  the web or to a mail address, images are links. `kit/Markdown.svelte` shows the tree. */
import { Lexer, type Token, type Tokens } from 'marked';

export type Inline =
  | { kind: 'text'; text: string }
  | { kind: 'code'; text: string }
  | { kind: 'strong'; children: Inline[] }
  | { kind: 'em'; children: Inline[] }
  | { kind: 'del'; children: Inline[] }
  | { kind: 'link'; href: string; children: Inline[] }
  | { kind: 'break' };

export type Block =
  | { kind: 'heading'; level: number; children: Inline[] }
  | { kind: 'paragraph'; children: Inline[] }
  | { kind: 'code'; text: string }
  | { kind: 'quote'; children: Block[] }
  | { kind: 'list'; ordered: boolean; start: number; items: Block[][] }
  | { kind: 'table'; head: Cell[]; rows: Cell[][] }
  | { kind: 'rule' };

export interface Cell {
  children: Inline[];
  end: boolean;
}

/** Longer texts are shown as they are: reading them takes a browser too long. */
export const LONGEST = 200_000;
/** Quotes in quotes and lists in lists, beyond which all is plain text. */
const DEEPEST = 12;

/** The tree of a text whose headings begin below `level`, and skip none. */
export function parse(text: string, level = 1): Block[] {
  return new Reading(level).blocks(Lexer.lex(text), 0);
}

/** One text being read: headings depend on those before them. */
class Reading {
  #level: number;
  readonly #base: number;

  constructor(base: number) {
    this.#base = base;
    this.#level = base;
  }

  blocks(tokens: Token[], depth: number): Block[] {
    if (depth > DEEPEST) return [paragraph([textOf(tokens.map(({ raw }) => raw).join(''))])];
    return tokens.flatMap((token) => this.#block(token, depth));
  }

  #block(token: Token, depth: number): Block[] {
    switch (token.type) {
      case 'heading':
        return this.#heading(token as Tokens.Heading);
      case 'paragraph':
      case 'text':
        return [paragraph(inlines(token as Tokens.Paragraph))];
      case 'code':
        return [{ kind: 'code', text: (token as Tokens.Code).text }];
      case 'blockquote':
        return [{ kind: 'quote', children: this.blocks((token as Tokens.Blockquote).tokens, depth + 1) }];
      case 'list':
        return [this.#list(token as Tokens.List, depth)];
      case 'table':
        return [table(token as Tokens.Table)];
      case 'hr':
        return [{ kind: 'rule' }];
      case 'html': {
        const text = withoutTags((token as Tokens.HTML).text);
        return text ? [paragraph([textOf(text)])] : [];
      }
      // A box of a list of tasks that stands by itself.
      case 'checkbox':
        return [paragraph([box(token)])];
      default:
        return [];
    }
  }

  /** One of nothing but dropped tags is none. */
  #heading(token: Tokens.Heading): Block[] {
    const children = inlines(token);
    if (!isSaid(children)) return [];
    this.#level = Math.min(this.#base + token.depth, this.#level + 1, 6);
    return [{ kind: 'heading', level: this.#level, children }];
  }

  #list(token: Tokens.List, depth: number): Block {
    const items = token.items.map((item) => withBox(this.blocks(item.tokens, depth + 1)));
    return { kind: 'list', ordered: token.ordered, start: Number(token.start) || 1, items };
  }
}

/** A box stands before the words that it belongs to, not above them. */
function withBox([first, second, ...rest]: Block[]): Block[] {
  const [box] = first?.kind === 'paragraph' ? first.children : [];
  if (first && second?.kind === 'paragraph' && box?.kind === 'text' && /^[☑☐] $/.test(box.text))
    return [paragraph([box, ...second.children]), ...rest];
  return [first, second, ...rest].filter((block) => block !== undefined);
}

function paragraph(children: Inline[]): Block {
  return { kind: 'paragraph', children };
}

function table(token: Tokens.Table): Block {
  const cell = (one: Tokens.TableCell, at: number): Cell => ({
    children: inlines(one),
    end: token.align[at] === 'right',
  });
  return { kind: 'table', head: token.header.map(cell), rows: token.rows.map((row) => row.map(cell)) };
}

/** What stands in a line. `linked`: inside a link, which holds no other. */
function inlines(of: { tokens?: Token[]; text?: string }, depth = 0, linked = false): Inline[] {
  if (!of.tokens || depth > DEEPEST) return of.text ? [textOf(of.text)] : [];
  return of.tokens.flatMap((token) => inline(token, depth + 1, linked));
}

function inline(token: Token, depth: number, linked: boolean): Inline[] {
  switch (token.type) {
    case 'text':
    case 'escape': {
      const { tokens, text } = token as Tokens.Text;
      return tokens ? inlines({ tokens }, depth, linked) : [textOf(text)];
    }
    case 'strong':
    case 'em':
    case 'del':
      return [{ kind: token.type, children: inlines(token as Tokens.Strong, depth, linked) }];
    case 'codespan':
      return [{ kind: 'code', text: (token as Tokens.Codespan).text }];
    case 'br':
      return [{ kind: 'break' }];
    case 'link': {
      const { href } = token as Tokens.Link;
      const children = inlines(token as Tokens.Link, depth, true);
      if (linked || !isSafe(href)) return children;
      return [{ kind: 'link', href, children: isSaid(children) ? children : [textOf(href)] }];
    }
    case 'image': {
      const { href, text } = token as Tokens.Image;
      const children = [textOf(text || href)];
      return linked || !isSafe(href) ? children : [{ kind: 'link', href, children }];
    }
    case 'checkbox':
      return [box(token)];
    case 'html':
      return /^<br\s*\/?>$/i.test(token.raw) ? [{ kind: 'break' }] : [];
    default:
      return [];
  }
}

/** Whether there is a word in it. */
function isSaid(children: Inline[]): boolean {
  return children.some((one) =>
    'children' in one ? isSaid(one.children) : 'text' in one && one.text.trim() !== '',
  );
}

function box(token: Token): Inline {
  return { kind: 'text', text: (token as { checked?: boolean }).checked ? '☑ ' : '☐ ' };
}

function textOf(text: string): Inline {
  return { kind: 'text', text: decoded(text) };
}

/** Whether a link leads out of here, and runs nothing. */
function isSafe(href: string): boolean {
  return /^(https?:\/\/|mailto:)/i.test(href.trim());
}

/** The words of HTML. Scripts and styles are none. */
function withoutTags(html: string): string {
  return html
    .replace(/<!--[\s\S]*?(-->|$)/g, '')
    .replace(/<(script|style)\b[\s\S]*?(<\/\1\s*>|$)/gi, '')
    .replace(/<\/?[a-z][^>]*(>|$)/gi, '')
    .trim();
}

const NAMED: Record<string, string> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: '\u00a0',
  copy: '©',
  reg: '®',
  mdash: '—',
  ndash: '–',
  hellip: '…',
};

/** Characters that are written by name or number. */
function decoded(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z]+));/gi, (whole, decimal, hex, name) => {
    if (name) return NAMED[String(name).toLowerCase()] ?? whole;
    const code = decimal ? Number(decimal) : Number.parseInt(String(hex), 16);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
