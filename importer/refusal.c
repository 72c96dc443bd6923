/* SPDX-License-Identifier: MIT */
/*
 * Modules that are refused by a sentence. Runs under the GIL of whoever embeds the
 * importer. The loader of such a module refuses, and not the finder: so
 * importlib.util.find_spec() goes on to answer instead of raising.
 */
#include "importer/hint.h"
#include "importer/types.h"

#include <string.h>

static const struct importer_refusal *refusals; /* borrowed for good */
static size_t refusals_count;

struct refuser {
    PyObject_HEAD const struct importer_refusal *refusal;
};

void importer_refuse_modules(const struct importer_refusal *rows, size_t count)
{
    refusals = rows;
    refusals_count = count;
}

static void refuser_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_Free(self);
    Py_DECREF(type);
}

static PyObject *refuse(PyObject *self, PyObject *ignored)
{
    const struct importer_refusal *refusal = ((struct refuser *)self)->refusal;
    PyObject *sentence = PyUnicode_FromString(refusal->sentence);
    PyObject *name = PyUnicode_FromString(refusal->module);

    if (sentence != NULL && name != NULL) {
        PyErr_SetImportErrorSubclass(PyExc_ModuleNotFoundError, sentence, name, NULL);
    }
    Py_XDECREF(sentence);
    Py_XDECREF(name);
    return NULL;
}

static PyMethodDef refuser_methods[] = {
    {"create_module", refuse, METH_O, NULL},
    {"exec_module", refuse, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot refuser_slots[] = {
    {Py_tp_dealloc, refuser_dealloc},
    {Py_tp_methods, refuser_methods},
    {0, NULL},
};

static PyType_Spec refuser_spec = {
    .name = "paddock_importer.RefusedModule",
    .basicsize = sizeof(struct refuser),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = refuser_slots,
};

PyObject *refusal_loader(const char *module)
{
    static PyTypeObject *type;
    struct refuser *refuser = NULL;

    for (size_t i = 0; i < refusals_count && refuser == NULL; i++) {
        if (strcmp(refusals[i].module, module) != 0) {
            continue;
        }
        if (type == NULL) {
            type = (PyTypeObject *)PyType_FromSpec(&refuser_spec);
        }
        refuser = type != NULL ? PyObject_New(struct refuser, type) : NULL;
        if (refuser == NULL) {
            return NULL;
        }
        refuser->refusal = &refusals[i];
    }
    return (PyObject *)refuser;
}
