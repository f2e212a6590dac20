//! `LiveListenerBus`: every queue and every class of listeners, as attributes.

use super::{Figure, Middle};
use crate::driver::reading::Part;
use crate::telemetry as t;

pub(super) fn add(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    if figure.name == "numEventsPosted" && figure.part == Part::Count {
        metrics.spark_driver_live_listener_bus_posted(figure.start, figure.count);
    } else if let Some(queue) = figure.between("queue_", "_size").filter(|_| figure.part == Part::Value) {
        let attributes = t::SparkDriverLiveListenerBusQueueSize { queue: queue.as_written() };
        metrics.spark_driver_live_listener_bus_queue_size(&attributes, figure.count);
    } else if let Some(queue) = figure.between("queue_", "_numDroppedEvents").filter(|_| figure.part == Part::Count) {
        let attributes = t::SparkDriverLiveListenerBusDropped { queue: queue.as_written() };
        metrics.spark_driver_live_listener_bus_dropped(figure.start, &attributes, figure.count);
    } else if let Some(queue) = figure.between("queue_", "_listenerProcessingTime") {
        of_queue(queue.as_written(), figure, metrics);
    } else if let Some(listener) = figure.between("listenerProcessingTime_", "") {
        of_listener(&class(listener), figure, metrics);
    } else {
        return false;
    }
    true
}

/// Dots of a class are underscores on the Prometheus page, and few classes have underscores of their own.
fn class(listener: Middle<'_>) -> String {
    listener.written.map_or_else(|| listener.mangled.replace('_', "."), str::to_owned)
}

fn of_queue(queue: &str, figure: &Figure<'_>, metrics: &mut t::Metrics) {
    let seconds = figure.nanos();
    match figure.part {
        Part::Value | Part::Count => {
            let attributes = t::SparkDriverLiveListenerBusProcessingTimeCount { queue };
            metrics.spark_driver_live_listener_bus_processing_time_count(figure.start, &attributes, figure.count);
        }
        Part::Mean => {
            let attributes = t::SparkDriverLiveListenerBusProcessingTimeAverage { queue };
            metrics.spark_driver_live_listener_bus_processing_time_average(&attributes, seconds);
        }
        Part::StdDev => {
            let attributes = t::SparkDriverLiveListenerBusProcessingTimeStdDev { queue };
            metrics.spark_driver_live_listener_bus_processing_time_std_dev(&attributes, seconds);
        }
        Part::Quantile(quantile) => {
            let attributes = t::SparkDriverLiveListenerBusProcessingTimeQuantile { queue, quantile };
            metrics.spark_driver_live_listener_bus_processing_time_quantile(&attributes, seconds);
        }
    }
}

fn of_listener(listener: &str, figure: &Figure<'_>, metrics: &mut t::Metrics) {
    let seconds = figure.nanos();
    match figure.part {
        Part::Value | Part::Count => {
            let attributes = t::SparkDriverLiveListenerBusListenerProcessingTimeCount { listener };
            let (start, count) = (figure.start, figure.count);
            metrics.spark_driver_live_listener_bus_listener_processing_time_count(start, &attributes, count);
        }
        Part::Mean => {
            let attributes = t::SparkDriverLiveListenerBusListenerProcessingTimeMean { listener };
            metrics.spark_driver_live_listener_bus_listener_processing_time_mean(&attributes, seconds);
        }
        Part::StdDev => {
            let attributes = t::SparkDriverLiveListenerBusListenerProcessingTimeStdDev { listener };
            metrics.spark_driver_live_listener_bus_listener_processing_time_std_dev(&attributes, seconds);
        }
        Part::Quantile(quantile) => {
            let attributes = t::SparkDriverLiveListenerBusListenerProcessingTimeQuantile { listener, quantile };
            metrics.spark_driver_live_listener_bus_listener_processing_time_quantile(&attributes, seconds);
        }
    }
}
