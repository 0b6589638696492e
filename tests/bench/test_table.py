#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of what is made of the benchmark's figures; no machine needed."""

import copy
import json
import unittest
import xml.etree.ElementTree as ET
from pathlib import Path

import table

COSTS = {'cycles per instruction': 1, 'exits': {'any other': 1000, 'EPT violation': 1200}}
FIGURES = {
    'about': {'command': 'make bench'},
    'instructions': {'native': {'syscall': 300, 'cpuid': 3, 'sleep': 7000, 'fault-recycled': 3000},
                     'service': {'syscall': 300, 'cpuid': 92, 'sleep': 7000, 'fault-recycled': 3000},
                     'user': {'syscall': 300, 'cpuid': 108, 'sleep': 9000, 'fault-recycled': 3003},
                     'kvm': {'syscall': 300, 'cpuid': 1025, 'sleep': 24000, 'fault-recycled': 3040}},
    'least': {},
    'exits': {'user': {'cpuid': {'CPUID': 1.0}, 'sleep': {'WRMSR': 2, 'EPT violation': 1}, 'syscall': {}},
              'kvm': {'cpuid': {'CPUID': 1.0}}},
    'boot': {'native': {'instructions': 1_500_000_000}, 'user': {'instructions': 1_501_000_000, 'exits': {'CPUID': 7}}},
    'single': {'cpuid-0': [110, 112]},
    'other': {'world switch': 300.5},
}


def changed(*path, value):
    figures = copy.deepcopy(FIGURES)
    at = figures
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return figures


class Model(unittest.TestCase):
    def test_exits_cost_cycles(self):
        self.assertEqual(table.modelled(9000, {'WRMSR': 2, 'EPT violation': 1}, COSTS), 9000 + 2 * 1000 + 1200)

    def test_no_exits(self):
        self.assertEqual(table.modelled(300, None, COSTS), 300)
        self.assertEqual(table.modelled(300, {}, {**COSTS, 'cycles per instruction': 0.5}), 150)

    def test_the_costs_that_are_used(self):
        costs = json.loads((Path(__file__).parent / 'costs.json').read_text())
        self.assertGreater(table.modelled(0, {'CPUID': 1}, costs), 500)
        self.assertTrue(costs['sources'])


class Goals(unittest.TestCase):
    def test_absolute(self):
        self.assertEqual(table.goal('cpuid', FIGURES), ('110', True))
        self.assertEqual(table.goal('sleep', FIGURES), ('8,000', False))

    def test_relative(self):
        self.assertEqual(table.goal('fault-recycled', FIGURES), ('1.001 x', True))
        self.assertEqual(table.goal('fault-recycled', changed('instructions', 'user', 'fault-recycled', value=3004))[1], False)

    def test_nothing_measured(self):
        self.assertEqual(table.goal('exec', FIGURES)[1], None)
        self.assertEqual(table.goal('fork', FIGURES), ('', None))


class Moved(unittest.TestCase):
    def test_same(self):
        self.assertEqual(table.moved(FIGURES, FIGURES), [])
        self.assertIn('no figure', table.moved_text([]))

    def test_by_two_percent(self):
        self.assertEqual(table.moved(FIGURES, changed('instructions', 'user', 'sleep', value=9180)), [])
        for value in 9181, 8000:
            new = changed('instructions', 'user', 'sleep', value=value)
            self.assertEqual(table.moved(FIGURES, new), [('user sleep', 9000, value)])

    def test_rounding_is_no_move(self):
        self.assertEqual(table.moved(FIGURES, changed('instructions', 'native', 'cpuid', value=3.5)), [])
        self.assertEqual(table.moved(FIGURES, changed('instructions', 'native', 'cpuid', value=4)), [('native cpuid', 3, 4)])

    def test_exits(self):
        new = changed('exits', 'user', 'sleep', value={'WRMSR': 2, 'EPT violation': 1, 'HLT': 0.1})
        self.assertEqual([name for name, _, _ in table.moved(FIGURES, new)], ['user sleep, exits'])

    def test_all_kinds(self):
        for path in (('boot', 'user', 'instructions'), ('boot', 'user', 'exits', 'CPUID'), ('other', 'world switch')):
            self.assertEqual(len(table.moved(FIGURES, changed(*path, value=1))), 1, path)
        self.assertEqual(len(table.moved(FIGURES, changed('single', 'cpuid-0', value=[110, 130]))), 1)

    def test_come_and_gone(self):
        new = copy.deepcopy(FIGURES)
        del new['instructions']['kvm']['sleep']
        self.assertEqual(table.moved(FIGURES, new), [('kvm sleep', 24000, None)])
        self.assertEqual(table.moved(new, FIGURES), [('kvm sleep', None, 24000)])
        self.assertIn('gone', table.moved_text(table.moved(FIGURES, new)))


class Output(unittest.TestCase):
    def test_text(self):
        text = table.text(FIGURES, COSTS)
        line, = (x for x in text.splitlines() if x.startswith('sleep'))
        self.assertEqual(line.split(), 'sleep 7,000 7,000 9,000 24,000 3.00 12,200 24,000 8,000 MISSED'.split())
        self.assertIn('1,501,000,000', text)

    def test_markdown(self):
        for line in table.markdown(FIGURES, COSTS).splitlines():
            self.assertEqual(line.count('|'), len(table.HEAD) + 1, line)
        self.assertIn('**missed**', table.markdown(FIGURES, COSTS))

    def test_every_chart_is_xml_with_its_rows(self):
        for title, rows, relative in table.CHARTS.values():
            root = ET.fromstring(table.bars(title, FIGURES, rows, relative))
            texts = [t.text for t in root.iter('{http://www.w3.org/2000/svg}text')]
            self.assertIn('sleep', texts)
            self.assertNotIn('exec', texts)     # nothing measured
            self.assertIn('1.286' if relative else '24,000', texts)

    def test_rows_of_charts_and_goals_exist(self):
        for _, rows, _ in table.CHARTS.values():
            self.assertLessEqual(set(rows), set(table.ABOUT))
        self.assertLessEqual({*table.GOALS, *table.RATIO_GOALS}, set(table.ABOUT))


if __name__ == '__main__':
    unittest.main()
