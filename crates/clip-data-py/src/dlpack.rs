//! Images of a batch as a DLPack tensor, which PyTorch and NumPy take without a copy
//! (<https://dmlc.github.io/dlpack/latest/>).
//!
//! The one file of this crate with `unsafe` code. A capsule owns a [`Managed`] in a box, whose
//! first field is what DLPack describes; its deleter frees the box, and is called once: by the
//! consumer, which renames the capsule, or by the capsule, whose name is still [`NAME`] then. The
//! box holds a handle of the memory, so that what the tensor points to lives as long as the tensor.
#![expect(unsafe_code, reason = "the interface is one of C")]

use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use clip_loader::{BatchMemory, RowMemory};
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

/// Of a capsule that no consumer took yet.
const NAME: &CStr = c"dltensor";
/// Device 0 of the kind kDLCPU.
const CPU: Device = Device { kind: 1, number: 0 };

#[repr(C)]
struct Device {
    kind: c_int,
    number: c_int,
}

#[repr(C)]
struct DataType {
    code: u8,
    bits: u8,
    lanes: u16,
}

/// kDLUInt and kDLFloat.
const BYTE: DataType = DataType { code: 1, bits: 8, lanes: 1 };
const FLOAT: DataType = DataType { code: 2, bits: 32, lanes: 1 };

#[repr(C)]
struct Tensor {
    data: *mut c_void,
    device: Device,
    dimensions: c_int,
    data_type: DataType,
    shape: *mut i64,
    /// Null: rows are one after another.
    strides: *mut i64,
    offset: u64,
}

#[repr(C)]
struct Managed {
    tensor: Tensor,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Managed)>,
    // What follows is ours.
    shape: [i64; 4],
    memory: RowMemory,
}

/// The images of a batch: 32-bit numbers [rows, 3, side, side], or bytes [rows, side, side, 3].
#[pyclass(frozen, module = "clip_data._native")]
pub struct Images {
    memory: RowMemory,
    rows: usize,
    side: usize,
    normalized: bool,
}

impl Images {
    pub fn new(memory: RowMemory, rows: usize, side: usize, normalized: bool) -> Self {
        Self { memory, rows, side, normalized }
    }
}

#[pymethods]
impl Images {
    /// A tensor in a capsule, of the version without one, which every consumer takes.
    #[pyo3(signature = (*, stream = None, max_version = None, dl_device = None, copy = None))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        stream: Option<Bound<'py, PyAny>>,
        max_version: Option<Bound<'py, PyAny>>,
        dl_device: Option<(c_int, c_int)>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = max_version;
        if stream.is_some() || dl_device.is_some_and(|device| device != self.__dlpack_device__()) {
            return Err(PyBufferError::new_err("the images are in this machine's memory"));
        }
        if copy == Some(true) {
            return Err(PyBufferError::new_err("the images are given as they are"));
        }
        let [rows, side] = [self.rows, self.side].map(|size| size as i64);
        let shape = if self.normalized { [rows, 3, side, side] } else { [rows, side, side, 3] };
        let managed = Box::into_raw(Box::new(Managed {
            tensor: Tensor {
                data: self.memory.as_ptr().cast_mut().cast(),
                device: CPU,
                dimensions: 4,
                data_type: if self.normalized { FLOAT } else { BYTE },
                shape: ptr::null_mut(),
                strides: ptr::null_mut(),
                offset: 0,
            },
            context: ptr::null_mut(),
            deleter: Some(free),
            shape,
            memory: self.memory.share(),
        }));
        // SAFETY: the box is ours until the capsule has it, and stays where it is. The new capsule
        // is a reference that we own; where there is none, the box is ours alone.
        unsafe {
            (*managed).tensor.shape = (&raw mut (*managed).shape).cast();
            let capsule = ffi::PyCapsule_New(managed.cast(), NAME.as_ptr(), Some(drop_capsule));
            if capsule.is_null() {
                free(managed);
            }
            Ok(Bound::from_owned_ptr_or_err(py, capsule)?.cast_into_unchecked())
        }
    }

    /// Kind and number of the device.
    #[expect(clippy::unused_self, reason = "a method of the protocol")]
    fn __dlpack_device__(&self) -> (c_int, c_int) {
        (CPU.kind, CPU.number)
    }
}

/// What DLPack's consumers call when they are done, from any thread.
unsafe extern "C" fn free(managed: *mut Managed) {
    // SAFETY: made by `Box::into_raw` above, and called once.
    drop(unsafe { Box::from_raw(managed) });
}

/// Frees what no consumer took.
unsafe extern "C" fn drop_capsule(capsule: *mut ffi::PyObject) {
    // SAFETY: Python calls it with a capsule of ours; under this name its pointer is a box that no
    // consumer took.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule, NAME.as_ptr()) == 1 {
            free(ffi::PyCapsule_GetPointer(capsule, NAME.as_ptr()).cast());
        }
    }
}
