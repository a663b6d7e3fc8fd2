import { describe, expect, test } from 'vitest';
import { type Block, parse } from './markdown';

/** All that a tree says, and where its links lead. */
function said(blocks: Block[]): string {
  return JSON.stringify(blocks);
}

describe('markdown', () => {
  test('has headings, lists, tables and code', () => {
    const blocks = parse('# Edge\n\n1. one\n2. two\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n```sh\nrun\n```\n');
    expect(blocks.map(({ kind }) => kind)).toEqual(['heading', 'list', 'table', 'code']);
    expect(blocks[0]).toMatchObject({ level: 2, children: [{ kind: 'text', text: 'Edge' }] });
    expect(blocks[1]).toMatchObject({ ordered: true, start: 1 });
    expect(blocks[2]).toMatchObject({ rows: [[{ end: false }, { end: true }]] });
  });

  test('skips no level of headings', () => {
    const levels = parse('#### a\n\n# b\n\n### c\n', 2).map((block) => 'level' in block && block.level);
    expect(levels).toEqual([3, 3, 4]);
  });

  test('has no tags', () => {
    const hostile = [
      '<script>alert(1)</script>',
      '<img src=x onerror=alert(1)>',
      'a <b onclick=alert(1)>b</b>',
      '<p align="center"><a href="javascript:alert(1)">words</a></p>',
      '<!-- <script>alert(1)',
      '<style>@import "x"',
    ];
    for (const text of hostile) expect(said(parse(text))).not.toMatch(/alert|import|onerror/);
    // What is no tag to Markdown is text.
    expect(said(parse('a <svg/onload=alert(1)>'))).toMatch(/"text","text":"[^"]*<svg/);
    expect(said(parse('<h1 align="center">Edge &amp; co</h1>'))).toContain('Edge & co');
  });

  test('links lead only out', () => {
    const hostile = [
      'javascript:alert(1)',
      'JaVaScRiPt:alert(1)',
      'data:text/html,x',
      '//evil.example',
      '/ui/x',
      'vbscript:x',
    ];
    for (const href of hostile) expect(said(parse(`[words](${href})`))).not.toContain('link');
    expect(said(parse('[words](https://example.org/a?b=c)'))).toContain('"href":"https://example.org/a?b=c"');
    expect(said(parse('![alt](https://example.org/a.png)'))).toContain('"kind":"link"');
    expect(said(parse('[![alt](https://a.example/b.svg)](https://c.example)')).match(/"link"/g)).toHaveLength(
      1,
    );
  });

  test('headings and links without a word are none, or their address', () => {
    expect(parse('# <img src=x>\n\n#\n')).toEqual([]);
    expect(said(parse('[<img src=x>](https://example.org)'))).toContain('"text":"https://example.org"');
  });

  test('deep nesting ends somewhere', () => {
    expect(said(parse(`${'> '.repeat(500)}deep`))).toContain('deep');
    expect(said(parse(`${'*a '.repeat(2000)}`))).toContain('a');
  });

  test('tasks have boxes', () => {
    const [list] = parse('- [x] done\n- [ ] open\n');
    expect(said(list ? [list] : [])).toMatch(/☑.*done.*☐.*open/);
    expect(list?.kind === 'list' && list.items.map((item) => item.length)).toEqual([1, 1]);
  });
});
