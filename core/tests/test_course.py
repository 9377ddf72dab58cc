"""The steps of a run: its epochs, some of them cut short, and how far it is."""

from ftrun.spec.course import Course
from ftrun.spec.trainspec import Phase, Train


def test_a_phase_may_end_within_an_epoch():
    train = Train(phases=(Phase(epochs=0.5, freeze="features"), Phase(epochs=2.3)))
    assert train.epochs == 4
    course = train.course(10)
    assert course.phases == (5, 23)
    assert (course.steps, course.epochs, course.ends) == (28, 4, [1, 4])
    assert [(course.begin(epoch), course.end(epoch)) for epoch in (1, 2, 3, 4)] == [(0, 5), (5, 15), (15, 25), (25, 28)]
    assert [course.phase(epoch) for epoch in (1, 2, 3, 4)] == [0, 1, 1, 1]


def test_whole_epochs_are_what_they_were():
    course = Train(epochs=3).course(7)
    assert [(course.begin(epoch), course.end(epoch)) for epoch in (1, 2, 3)] == [(0, 7), (7, 14), (14, 21)]
    assert [course.progress(step) for step in range(21)] == [step / 21 for step in range(21)]


def test_a_fraction_that_was_written_down_is_the_same_number_of_steps():
    for per_epoch in (3, 7, 16, 203):
        for steps in range(1, 3 * per_epoch):
            course = Course(per_epoch, (steps, 1), (False, False))
            train = Train(phases=(Phase(epochs=1), Phase(epochs=1))).following(course)
            assert train.course(per_epoch) == course
            assert train.epochs == course.epochs
            assert Train.model_validate_json(train.model_dump_json()).course(per_epoch) == course


def test_progress_bends_where_the_rest_is_planned_anew_and_has_no_jump():
    course = Course(10, (20, 60), (False, False))
    shorter = course.replanned(40, (20, 40))
    assert [shorter.progress(step) for step in (0, 20, 40, 50, 60)] == [0.0, 0.25, 0.5, 0.75, 1.0]
    again = shorter.replanned(50, (20, 80))
    assert [again.progress(step) for step in (20, 40, 50, 75, 100)] == [0.25, 0.5, 0.75, 0.875, 1.0]
    assert again.schedule_progress(75) == again.progress(75)


def test_a_schedule_that_begins_anew_bends_within_its_own_part():
    course = Course(10, (20, 40), (False, True))
    longer = course.replanned(10, (30, 40))
    assert [longer.schedule_progress(step) for step in (0, 10, 20, 30, 50)] == [0.0, 0.5, 0.75, 0.0, 0.5]
    shorter = longer.replanned(50, (30, 30))
    assert [shorter.schedule_progress(step) for step in (30, 40, 50, 55)] == [0.0, 0.25, 0.5, 0.75]


def test_a_run_whose_last_epoch_was_cut_short_is_extended_by_whole_ones():
    train = Train(phases=(Phase(epochs=1, freeze="features"), Phase(epochs=1.5, lr_scale=0.1, restart=True)))
    longer = train.extended(5)
    assert longer.epochs == 5
    assert longer.phases[-1] == Phase(epochs=2, lr_scale=0.1)
    assert longer.course(10).phases == (10, 15, 20)
