import { describe, expect, test } from 'vitest';
import { permission, preset, rowsOf } from './grant';

const catalogue = [
  'repository:pull',
  'repository:read',
  'repository:push',
  'tag:list',
  'log:list',
  'member:create',
].map(permission);

describe('the permissions of robots', () => {
  test('are a matrix, content first', () => {
    const { content, others } = rowsOf(catalogue);
    expect(content.map((row) => row.resource)).toEqual(['repository', 'tag']);
    expect(others.map((row) => row.resource)).toEqual(['log', 'member']);
    expect(content[0]?.cells).toEqual([
      ['repository:pull', 'repository:read'],
      [],
      ['repository:push'],
      [],
      [],
      [],
    ]);
  });

  test('have presets that never go beyond the catalogue', () => {
    expect(preset('pull', catalogue)).toEqual(['repository:pull', 'repository:read', 'tag:list']);
    expect(preset('full', catalogue)).toHaveLength(6);
    expect(preset('none', catalogue)).toEqual([]);
  });
});
